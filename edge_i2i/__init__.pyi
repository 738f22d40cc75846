"""The names that edge_i2i hands out, and where they live: for type checkers, and read when a name is first used."""

from .arrays import Array as Array, Picture as Picture
from .bundle.reader import Bundle as Bundle, open_bundle as open_bundle
from .translate.condition_inputs import ConditionInputs as ConditionInputs
from .translate.conditions import Look as Look
from .engines.protocol import EngineOptions as EngineOptions
from .errors import (
    BadInputError as BadInputError,
    BudgetError as BudgetError,
    BundleError as BundleError,
    BundleOutputError as BundleOutputError,
    CheckpointError as CheckpointError,
    EdgeI2IError as EdgeI2IError,
    GraphError as GraphError,
    GraphFileError as GraphFileError,
    MissingRequirementError as MissingRequirementError,
    OutputError as OutputError,
    ParityError as ParityError,
    PictureError as PictureError,
    PlanError as PlanError,
    UsageError as UsageError,
)
from .export.onnx import ExportSummary as ExportSummary, export_bundle as export_bundle
from .graphs.export import ExportOptions as ExportOptions
from .live.model.changes import Change as Change
from .live.threads.ending import LiveError as LiveError
from .live.figures.events import Event as Event, EventKind as EventKind
from .live.frame import Frame as Frame, Origin as Origin, Result as Result
from .live.opening import open_session as open_session
from .live.steps.picture_path import PicturePathOptions as PicturePathOptions
from .live.policy import Mode as Mode, Policy as Policy
from .live.session import LiveSession as LiveSession
from .live.figures.stats import StatsSnapshot as StatsSnapshot
from .web.server import Server as Server, serve as serve
from .media.geometry import Fit as Fit
from .media.pictures import read_picture as read_picture, write_picture as write_picture
from .contract import Size as Size, TensorSpec as TensorSpec
from .models.checkpoints.loading import (
    LoadedModel as LoadedModel,
    load_checkpoint as load_checkpoint,
    load_demo as load_demo,
    load_random as load_random,
)
from .models.pix2pixhd.features import FeatureClusters as FeatureClusters
from .quantize.calibration.calibration_set import CalibrationOptions as CalibrationOptions
from .quantize.job import QuantizeJob as QuantizeJob
from .quantize.outcome import QuantizeSummary as QuantizeSummary
from .quantize.run import quantize_bundle as quantize_bundle
from .translate.files import TranslateSummary as TranslateSummary, translate_path as translate_path
from .translate.translator import Translator as Translator, TranslatorInfo as TranslatorInfo, load as load
from .bench.verify import Verdict as Verdict, verify_bundle as verify_bundle

__version__: str
