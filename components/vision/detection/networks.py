"""The networks by name, as sections of a darknet configuration: YOLOv3, YOLOv3-tiny, and a micro one of our own.

Source: Redmon and Farhadi, YOLOv3: An Incremental Improvement, 2018 (arXiv:1804.02767), and its published files, whose
sizes a test compares: 62,001,757 numbers at 80 classes, 8,858,734 for tiny.
"""

from components.vision.detection.cfg import Section

_ANCHORS = "10,13, 16,30, 33,23, 30,61, 62,45, 59,119, 116,90, 156,198, 373,326"
_TINY_ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"
_MICRO_ANCHORS = "12,12, 24,16, 24,32, 48,32, 56,64, 96,80"


def _net(size_px: int) -> Section:
    values: dict[str, object] = {"batch": 64, "subdivisions": 16, "width": size_px, "height": size_px, "channels": 3}
    values |= {"momentum": 0.9, "decay": 0.0005, "angle": 0, "saturation": 1.5, "exposure": 1.5, "hue": 0.1}
    values |= {"learning_rate": 0.001, "burn_in": 1000, "max_batches": 500200, "policy": "steps"}
    return Section("net", {}).changed(**values, steps=[400000, 450000], scales=[0.1, 0.1])


def _convolution(filters: int, size: int, stride: int = 1) -> Section:
    first = {"batch_normalize": "1", "filters": str(filters), "size": str(size), "stride": str(stride)}
    return Section("convolutional", first | {"pad": "1", "activation": "leaky"})


def _head(mask: str, anchors: str) -> list[Section]:
    count = anchors.count(",") // 2 + 1
    linear = {"size": "1", "stride": "1", "pad": "1", "filters": "255", "activation": "linear"}
    about = {"mask": mask, "anchors": anchors, "classes": "80", "num": str(count), "jitter": ".3"}
    about |= {"ignore_thresh": ".7", "truth_thresh": "1", "random": "0"}
    return [Section("convolutional", linear), Section("yolo", about)]


def _pool(stride: int) -> Section:
    return Section("maxpool", {"size": "2", "stride": str(stride)})


def _upwards(filters: int, beside: int, back: int = -4) -> list[Section]:
    """From before the last head, through a narrow layer, to twice the side, beside an earlier layer's maps."""
    return [
        Section("route", {"layers": str(back)}),
        _convolution(filters, 1),
        Section("upsample", {"stride": "2"}),
        Section("route", {"layers": f"-1, {beside}"}),
    ]


def _residual_stage(filters: int, blocks: int) -> list[Section]:
    stage = [_convolution(filters, 3, stride=2)]
    for _ in range(blocks):
        shortcut = Section("shortcut", {"from": "-3", "activation": "linear"})
        stage += [_convolution(filters // 2, 1), _convolution(filters, 3), shortcut]
    return stage


def _detecting(filters: int, mask: str) -> list[Section]:
    pair = [_convolution(filters, 1), _convolution(2 * filters, 3)]
    return [*pair * 3, *_head(mask, _ANCHORS)]


def full() -> list[Section]:
    """YOLOv3: Darknet-53 (layers 0 to 74, the file darknet53.conv.74), then three scales."""
    backbone = [_convolution(32, 3)]
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        backbone += _residual_stage(filters, blocks)
    heads = [*_detecting(512, "6,7,8"), *_upwards(256, beside=61), *_detecting(256, "3,4,5")]
    return [_net(416), *backbone, *heads, *_upwards(128, beside=36), *_detecting(128, "0,1,2")]


def tiny() -> list[Section]:
    """YOLOv3-tiny: seven convolutions with maximum pools, then two scales."""
    body: list[Section] = []
    for filters in (16, 32, 64, 128, 256):
        body += [_convolution(filters, 3), _pool(2)]
    body += [_convolution(512, 3), _pool(1), _convolution(1024, 3), _convolution(256, 1), _convolution(512, 3)]
    body += _head("3,4,5", _TINY_ANCHORS)
    return [_net(416), *body, *_upwards(128, beside=8), _convolution(256, 3), *_head("0,1,2", _TINY_ANCHORS)]


def micro() -> list[Section]:
    """For drawn scenes on a laptop's processor: the same shape at an eighth of tiny's width, halving early.

    Its scales have cells of 16 and 8 pixels: things of a small picture are a few pixels wide.
    """
    body = [_convolution(16, 3, stride=2), _convolution(32, 3, stride=2), _convolution(64, 3, stride=2)]
    body += [_convolution(64, 3), _convolution(128, 3, stride=2), _convolution(128, 3), _convolution(64, 1)]
    body += [_convolution(128, 3), *_head("3,4,5", _MICRO_ANCHORS)]
    return [_net(128), *body, *_upwards(64, beside=3), _convolution(64, 3), *_head("0,1,2", _MICRO_ANCHORS)]


NETWORKS = {"full": full, "tiny": tiny, "micro": micro}
