from . import figures as figures
from . import paper as paper
from . import runs as runs
from .scaling.architecture import forward_flops as forward_flops
from .scaling.fitting import fit_supervised_law as fit_supervised_law
from .scaling.laws import DistillationLaw as DistillationLaw
from .scaling.laws import SupervisedLaw as SupervisedLaw
from .scaling.laws import published_law as published_law
from .scaling.planning import Plan as Plan
from .scaling.planning import plan as plan
from .training.losses import kd_loss as kd_loss

__version__: str
