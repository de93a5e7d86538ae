from .backprop import Backprop as Backprop
from .backprop import BackpropNet as BackpropNet
from .kmeans import KMeans as KMeans
from .linear import LinearNet as LinearNet
from .linear import LinearRegression as LinearRegression
from .pca import PCA as PCA
