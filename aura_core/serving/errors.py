"""Errors as OpenAI's clients read them: `{"error": {message, type, param, code}}`."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

_CLIENT_CLOSED_REQUEST = 499


class ApiError(Exception):
    """A request that is not answered; `param` names the field at fault, if one is."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    @property
    def body(self) -> dict[str, Any]:
        """What the client is told."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        told = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": told}


def of_validation(error: ValidationError) -> ApiError:
    """The first thing that is wrong with a request's fields."""
    first = error.errors()[0]
    where = ".".join(map(str, _fields(first["loc"])))
    reason = first["msg"].removeprefix("Value error, ")
    return ApiError(400, f"{where}: {reason}" if where else reason, param=where or None)


def _fields(loc: Sequence[int | str]) -> Iterator[int | str]:
    """A place without the kinds of content parts, which follow their number in a list."""
    for before, part in zip([None, *loc], loc, strict=False):
        if not (isinstance(before, int) and part in ("text", "input_audio")):
            yield part


def add_error_handlers(app: FastAPI) -> None:
    """Have everything that goes wrong told in one shape."""

    @app.exception_handler(ApiError)
    def refused(_request: Request, error: ApiError) -> Response:
        return JSONResponse(error.body, error.status)

    @app.exception_handler(HTTPException)
    def unknown(_request: Request, error: HTTPException) -> Response:
        told = ApiError(error.status_code, str(error.detail))
        return JSONResponse(told.body, error.status_code, headers=error.headers)

    @app.exception_handler(ClientDisconnect)
    def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)

    @app.exception_handler(Exception)
    def crashed(_request: Request, error: Exception) -> Response:
        # The server's log has the traceback; a client has no use for its words.
        told = ApiError(500, f"the server failed ({type(error).__name__})")
        return JSONResponse(told.body, told.status)
