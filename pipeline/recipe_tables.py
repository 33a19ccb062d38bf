"""The tables of a recipe that belong to no step: head, data, generations, placement, prices, attribute, model."""

from dataclasses import dataclass

from components.knobs import knob


@dataclass(frozen=True)
class Head:
    """What stands at the top of a recipe, before the first table."""

    name: str = knob("", "name of the pipeline")
    pipeline: str = knob(
        "main",
        "what the recipe is for: main learns attributes from rounds of pictures, study compares models of them, "
        "detection learns boxes",
        choices=("main", "study", "detection"),
    )
    description: str = knob("", "what the recipe is for, one line")
    seed: int = knob(0, "seed of every step", at_least=0, at_most=2**31 - 1)
    data_root: str = knob("", "folder or gs:// address for references; empty: chosen when the run starts")


_CUT = "caltech256, cifar10, fashion_mnist, idx"  # data sets that are cut out of larger ones


@dataclass(frozen=True)
class Data:
    """Table [data]: what the rounds are made of."""

    dataset: str = knob(
        "",
        "data set to prepare before the run; empty: the data is given",
        choices=("", "demo", "fashion_mnist", "idx", "cifar10", "caltech256", "boats"),
    )
    rounds: list[str] = knob([], "folders or gs:// addresses of the rounds, oldest first")
    every_attribute: bool = knob(
        False, "learn each attribute that the data's own labels.csv has, with the settings of the recipe's first one"
    )
    source: str = knob(
        "",
        "folder with the data set's own files (fashion_mnist), or also their archive, or its address with #md5=HEX "
        "(idx: a folder, mnist or fashion_mnist; cifar10, caltech256); or folder of the files that a detection recipe "
        "names without a full address; empty: where its package puts them, or a download",
    )
    seed: int = knob(0, "seed of the data set, apart from the run's", at_least=0)
    images: int = knob(0, "training pictures of each attribute (demo, boats); 0: as the data set says", at_least=0)
    round1: int = knob(0, f"labelled pictures of round 1 ({_CUT}); 0: as the data set says", at_least=0)
    round2: int = knob(0, f"labelled pictures of round 2 ({_CUT}); 0: as the data set says", at_least=0)
    pool: int = knob(0, f"unlabelled pictures ({_CUT}); 0: as the data set says", at_least=0)
    questions: int = knob(0, f"pictures to predict ({_CUT}); 0: as the data set says", at_least=0)
    clutter: bool = knob(False, "clutter is a class too (caltech256)")


@dataclass(frozen=True)
class Generations:
    """Table [generations]: the parts of the pipeline that a recipe may leave out."""

    round2: bool = knob(True, "fine-tune on the newest round, from round 1's weights")
    pseudo: bool = knob(True, "train a second generation with pseudo-labels")
    start: str = knob(
        "scratch",
        "where round 1 starts: with the settings' `weights`, or with the champion's model of the same name, if it fits",
        choices=("scratch", "champion"),
    )


@dataclass(frozen=True)
class Placement:
    """Table [placement]: where tasks run and what they may take."""

    parallel_attributes: int = knob(2, "attributes at the same time", at_least=1, at_most=100)
    parallel_models: int = knob(2, "models of one attribute at the same time", at_least=1, at_most=100)
    gpu: bool = knob(False, "train and predict on GPUs")
    gpu_resource: str = knob(
        "nvidia.com/gpu", "Kubernetes resource of the GPUs; also the taint that GPU tasks tolerate"
    )
    gpu_label: str = knob("cloud.google.com/gke-accelerator", "node label that names the GPU's type")
    gpu_type: str = knob("nvidia-l4", "value of that label")
    gpus_per_task: int = knob(1, "GPUs of one task", at_least=1, at_most=16)
    shm_gb: int = knob(2, "shared memory of a GPU task", unit="GiB", at_least=1)
    timeout_hours: float = knob(24.0, "longest time of one attempt of a GPU task", unit="h", at_least=0.1)
    idle_minutes: float = knob(
        30.0,
        "a GPU task ends itself after so long without a line, a busy GPU or a busy CPU; 0: never",
        unit="min",
        at_least=0,
    )
    gpu_hours: float = knob(
        0.0, "budget of a run, all GPU tasks together; the embedded engine stops it then; 0: none", unit="h", at_least=0
    )
    retries: int = knob(3, "attempts after the first one of a GPU task (spot machines go away)", at_least=0, at_most=20)
    cpu: dict[str, float] = knob({}, "CPU cores per step, beside the defaults in placement.py")
    memory_gb: dict[str, float] = knob({}, "memory per step, beside the defaults in placement.py", unit="GiB")


@dataclass(frozen=True)
class Prices:
    """Table [prices]: what an hour costs, for the cost report of a run; 0: not known."""

    gpu_hour: float = knob(0.0, "price of one GPU for an hour, with the machine around it", at_least=0)
    cpu_hour: float = knob(0.0, "price of one CPU core for an hour, of tasks without a GPU", at_least=0)
    currency: str = knob("USD", "what the prices are in")


@dataclass(frozen=True)
class Attribute:
    """Table [attributes.NAME], beside its tables of knobs."""

    classes: list[str] = knob([], "class names in the order of the label string; empty: as the data says")
    ordinal: bool = knob(False, "the classes are ordered, as lengths are")
    task: str = knob(
        "one_of_k",
        "what is asked of a picture; it decides head, loss and metric. auto: binary for two classes, multi_label where "
        "pictures have several, else one_of_k",
        choices=("one_of_k", "binary", "multi_label", "ordinal", "regression", "auto"),
    )


@dataclass(frozen=True)
class Model:
    """Table [models.NAME], beside its tables of knobs."""

    seed: int = knob(0, "seed of its trainings; by default that of the run", at_least=0, at_most=2**31 - 1)


WITHOUT_ROUNDS = ("boats",)  # data sets that are one folder of files
TABLES = {"data": Data, "generations": Generations, "placement": Placement, "prices": Prices}
LOOPS = {"attributes": Attribute, "models": Model}
