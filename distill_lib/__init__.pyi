from . import figures as figures
from . import paper as paper
from . import runs as runs
from .index import figure_index as figure_index
from .ledger import claims_ledger as claims_ledger
from .scaling import architecture as architecture
from .scaling import audit as audit
from .scaling import identifiability as identifiability
from .scaling import protocols as protocols
from .scaling import statements as statements
from .scaling.architecture import forward_flops as forward_flops
from .scaling.comparison import mean_interval as mean_interval
from .scaling.comparison import paired_students as paired_students
from .scaling.crossover import crossover as crossover
from .scaling.fitting import fit_distillation_law as fit_distillation_law
from .scaling.fitting import fit_supervised_law as fit_supervised_law
from .scaling.laws import DistillationLaw as DistillationLaw
from .scaling.laws import SupervisedLaw as SupervisedLaw
from .scaling.laws import published_law as published_law
from .scaling.planning import Plan as Plan
from .scaling.planning import plan as plan
from .scaling.planning import plan_map as plan_map
from .scaling.storage import logit_storage as logit_storage
from .training.corpus import open_corpus as open_corpus
from .training.losses import kd_loss as kd_loss
from .training.sweep import run_preset as run_preset

__version__: str
