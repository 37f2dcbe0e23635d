"""SOAP login(), as long as API versions have it (contract A1, A3)."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import escape

from orgsim.rest.http import Request, Response, Router
from orgsim.schema.currencies import corporate

_NS = "{urn:partner.soap.sforce.com}"
_ENVELOPE = "{http://schemas.xmlsoap.org/soap/envelope/}"
_XML = "text/xml;charset=UTF-8"
_FIRST_WITHOUT_LOGIN = 65.0


def register(router: Router) -> None:
    for path in ("/services/Soap/u/{version}", "/services/Soap/u/{version}/{org_id}"):
        router.add("POST", path, call, open=True)


def call(request: Request) -> Response:
    """Only ``login`` is there; other calls answer INVALID_OPERATION."""
    org = request.org
    try:
        version = float(request.parameters["version"])
        root = ElementTree.fromstring(request.body)
    except (ValueError, ElementTree.ParseError):
        return _fault("soapenv:Client", "XML_PARSER_ERROR", "the request is not a SOAP envelope")
    if version < org.settings.min_version:
        return _fault("UNSUPPORTED_API_VERSION", "UNSUPPORTED_API_VERSION", "Unsupported API version")
    login = root.find(f"{_ENVELOPE}Body/{_NS}login")
    if login is None or version >= _FIRST_WITHOUT_LOGIN or not org.settings.soap_login:
        return _fault("INVALID_OPERATION", "INVALID_OPERATION", "SOAP API login() is not available here")
    given = {name: (login.findtext(_NS + name) or "") for name in ("username", "password")}
    known = {org.settings.password + org.settings.security_token, org.settings.password}
    if given["username"].lower() != org.settings.username.lower() or given["password"] not in known:
        text = "Invalid username, password, security token; or user locked out."
        return _fault("INVALID_LOGIN", "INVALID_LOGIN", text)
    session = org.sessions.open()
    org.calls["api"] += 1
    url = f"{request.base_url}/services/Soap/u/{version:.1f}/{org.id[:15]}"
    body = (
        f"<metadataServerUrl>{escape(url.replace('/u/', '/m/'))}</metadataServerUrl>"
        "<passwordExpired>false</passwordExpired>"
        f"<sandbox>{str(org.settings.sandbox).lower()}</sandbox><serverUrl>{escape(url)}</serverUrl>"
        f"<sessionId>{escape(session.token)}</sessionId><userId>{session.user_id}</userId><userInfo>"
        f"<organizationId>{org.id}</organizationId><organizationMultiCurrency>{str(org.settings.multi_currency).lower()}"
        "</organizationMultiCurrency><orgDefaultCurrencyIsoCode>"
        f"{corporate(org.settings).code}</orgDefaultCurrencyIsoCode>"
        f"<sessionSecondsValid>{int(org.settings.session_seconds)}</sessionSecondsValid>"
        f"<userId>{session.user_id}</userId><userName>{escape(org.settings.username)}</userName>"
        "<userFullName>Integration User</userFullName><userLanguage>en_US</userLanguage></userInfo>"
    )
    return _answer(
        200, f"<soapenv:Body><loginResponse><result>{body}</result></loginResponse></soapenv:Body>"
    )


def _answer(status: int, body: str) -> Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns="urn:partner.soap.sforce.com" xmlns:sf="urn:fault.partner.soap.sforce.com"'
        f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{body}</soapenv:Envelope>'
    )
    return Response(status, text.encode(), _XML)


def _fault(code: str, exception: str, message: str) -> Response:
    return _answer(
        500,
        f"<soapenv:Body><soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{exception}: {escape(message)}"
        '</faultstring><detail><sf:LoginFault xsi:type="sf:LoginFault">'
        f"<sf:exceptionCode>{exception}</sf:exceptionCode><sf:exceptionMessage>{escape(message)}</sf:exceptionMessage>"
        "</sf:LoginFault></detail></soapenv:Fault></soapenv:Body>",
    )
