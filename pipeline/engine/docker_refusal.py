"""What a Docker Engine says when it cannot make or start a container: in a line, with what mends it."""

from pipeline.engine.failures import Failure, FailureKind

_MAX_SAID = 300


def not_started(error: OSError, image: str) -> Failure:
    """Why a container could not be made or started, and the fix.

    Args:
        error: docker-py's, or that nobody answered.
        image: the image's name.
    """
    from docker.errors import APIError, ImageNotFound

    said = words(error)
    if isinstance(error, ImageNotFound):
        fix = f"docker pull {image}; Seamline's own are made by `seamline images build`"
        return Failure(FailureKind.NOT_STARTED, f"there is no image {image} here", fix)
    if not isinstance(error, APIError):
        fix = "start the Docker Engine, name another one by DOCKER_HOST, or take `--launcher process`"
        return Failure(FailureKind.NOT_STARTED, said, fix)
    fix = "ask for what this Docker Engine has, or take another one by DOCKER_HOST"
    if "device driver" in said:
        fix = "install NVIDIA's driver and container toolkit, or run it on a machine that has them"
    return Failure(FailureKind.NOT_STARTED, f"the Docker Engine refuses: {said}", fix)


def is_silence(error: OSError) -> bool:
    """Nobody answered, in contrast to an answer that is a refusal."""
    from docker.errors import APIError

    return not isinstance(error, APIError)


def words(error: OSError) -> str:
    """The Docker Engine's own words, in a line."""
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:_MAX_SAID]
