"""First weights of networks."""

from torch import nn


def keras_initialise(network: nn.Module) -> None:
    """Draws weights as Keras does, which matters for recurrent networks.

    Glorot's uniform distribution for kernels (Glorot and Bengio, 2010), orthogonal recurrent kernels (Saxe et
    al., 2014), biases zero, except that the forget gate of an LSTM starts open (Jozefowicz et al., 2015).
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.RNNBase):
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim == 1:
                    nn.init.zeros_(parameter)
                elif name.startswith("weight_hh"):
                    nn.init.orthogonal_(parameter)
                else:
                    nn.init.xavier_uniform_(parameter)
        if isinstance(module, nn.LSTM):
            for name, parameter in module.named_parameters(recurse=False):
                if name.startswith("bias_ih"):
                    nn.init.ones_(parameter.data[module.hidden_size : 2 * module.hidden_size])
