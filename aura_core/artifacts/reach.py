"""Whether a place answers and can be written to, asked before a command begins to rely on it."""

import tempfile
from functools import cache
from pathlib import Path

from botocore.exceptions import BotoCoreError

from aura_core.artifacts import store
from aura_core.errors import AuraError, system_error_line

# Work under way waits out an outage; one who has mistyped an endpoint should not have to.
_ATTEMPTS = 2


@cache
def require_reachable(uri: str) -> None:
    """List one object below an `s3://` URI, once a process; other URIs are not looked at.

    Raises:
        AuraError: if the endpoint does not answer, the credentials are missing or refused, or
            there is no such bucket.
    """
    if not uri.startswith("s3://"):
        return
    fs, path = store.filesystem(uri, _ATTEMPTS)
    bucket, _, prefix = path.partition("/")
    try:
        fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except FileNotFoundError:
        raise AuraError(f"{uri}: there is no bucket {bucket!r}; make it or name another") from None
    except PermissionError as error:
        raise AuraError(f"{uri} may not be listed: {error}; check the AWS credentials") from None
    except (BotoCoreError, OSError) as error:
        raise AuraError(
            f"{uri} is out of reach: {error}; check AWS_ENDPOINT_URL_S3 and the AWS credentials"
        ) from None


def require_writable(folder: str) -> None:
    """Make a local folder if it is not there, and write a file there that is gone at once.

    Of an object store nothing is asked: rights to write show with the first object.

    Raises:
        AuraError: if the system refuses it.
    """
    if store.is_remote(folder):
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=store.TEMPORARY, dir=folder) as file:
            file.write(b"here")
    except OSError as error:
        raise AuraError(system_error_line(error, folder)) from None
