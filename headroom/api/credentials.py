"""What a request brings to show who it comes from."""

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

COOKIE = "headroom_session"


def credentials(headers: Headers) -> tuple[str | None, str | None]:
    """The bearer token and the page's cookie, where the request has them."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" and token.strip() else None
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return bearer, None
    return bearer, cookies[COOKIE].value if COOKIE in cookies else None
