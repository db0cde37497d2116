# SPDX-License-Identifier: Apache-2.0
# Requests signed by botocore, one JSON object a line, for t_sandbox_verify.
import calendar
import json
import time
from urllib.parse import urlsplit

from botocore.auth import S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

STATIC = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TEMPORARY = Credentials("ASIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "TOKEN/EXAMPLE+1==")

URLS = [
    "/", "/v1/control-channel/i-0123456789abcdef0", "/v1/control-channel/ecs:c_t_r",
    "/a%20b", "/a/./b/../c", "//double//slash/", "/trailing/", "/%C3%A9t%C3%A9", "/a*b~c'd(e)",
    "/?a=1&b=2", "/?b=2&a=1", "/?a=2&a=1", "/?role=subscribe&stream=input", "/?empty=&none",
    "/?sp=a%20b&eq=a%3Db&amp=a%26b", "/?star=%2A&tilde=~", "/?%C3%A9=%C3%A8",
]


def show(name, service, request, credentials, stamp):
    parts = urlsplit(request.url)
    headers = [[k.lower(), v if isinstance(v, str) else str(v)] for k, v in request.headers.items()]
    if not any(k == "host" for k, _ in headers):
        headers.append(["host", parts.netloc])
    body = request.data or b""
    print(json.dumps({
        "name": name, "service": service, "method": request.method, "path": parts.path or "/",
        "query": parts.query, "headers": headers,
        "body": body.decode() if isinstance(body, bytes) else body,
        "id": credentials.access_key, "secret": credentials.secret_key, "token": credentials.token,
        "now_ms": stamp * 1000}))


def main():
    stamp = calendar.timegm(time.gmtime())
    for url in URLS:
        for credentials in (STATIC, TEMPORARY):
            full = "http://127.0.0.1:8080" + url
            get = AWSRequest("GET", full)
            SigV4Auth(credentials, "ssmmessages", "eu-west-1").add_auth(get)
            show("GET " + url, "ssmmessages", get, credentials, stamp)
            query = AWSRequest("GET", full)
            SigV4QueryAuth(credentials, "ssmmessages", "eu-west-1", expires=60).add_auth(query)
            show("query " + url, "ssmmessages", query, credentials, stamp)
    post = AWSRequest("POST", "http://localhost:9/", data=b"{\"a\": \"\xc3\xa9\"}", headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.ListCommands",
        "X-Odd":  "  two   blanks  inside "})
    SigV4Auth(TEMPORARY, "ssm", "eu-west-1").add_auth(post)
    show("POST", "ssm", post, TEMPORARY, stamp)
    s3 = AWSRequest("GET", "https://bkt.s3.eu-west-1.amazonaws.com/a%20key/with%3Acolon")
    S3SigV4QueryAuth(TEMPORARY, "s3", "eu-west-1", expires=60).add_auth(s3)
    show("s3", "s3", s3, TEMPORARY, stamp)


main()
