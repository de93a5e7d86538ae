from .adversarial import Adversarial as Adversarial
from .dcgan import DCGAN as DCGAN
from .dcgan import ConditionalDCGAN as ConditionalDCGAN
from .networks import Discriminator as Discriminator
from .networks import Generator as Generator
from .wgan import WGAN as WGAN
from .wgan import WGANGP as WGANGP
