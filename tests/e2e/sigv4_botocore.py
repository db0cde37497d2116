# SPDX-License-Identifier: Apache-2.0
# Random requests, the same ones each time, signed by botocore and by tests/e2e/sigv4_sign: TAP.
import datetime
import json
import random
import subprocess
import sys
from urllib.parse import quote

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

COUNT = 500
WHEN = 1729514096
NAMES = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~'
WILD = NAMES + ' !$&\'()*+,;=:@%/"<>^`{|}\\[]\u00e4\u1234\U0001f600'
# What may stand in a path as it is: no blank and nothing that starts a query or a fragment.
PATH = NAMES + '!$&\'()*+,;=:@"<>^`{|}\u00e4\u1234\U0001f600'


class FixedTime(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return datetime.datetime.utcfromtimestamp(WHEN)


class Module:
    datetime = FixedTime


botocore.auth.datetime = Module


def text(rng, letters, most):
    return ''.join(rng.choice(letters) for _ in range(rng.randrange(most + 1)))


def path_of(rng, service):
    parts = []
    for _ in range(rng.randrange(6)):
        kind = rng.random()
        if kind < 0.1:
            parts.append(rng.choice(['.', '..', '']))
        elif kind < 0.55 and service != 's3':
            parts.append(text(rng, PATH, 8))
        else:
            parts.append(quote(text(rng, WILD, 8), safe='~'))
    return '/' + '/'.join(parts)


def query_of(rng, form):
    pairs = {}
    many = []
    for _ in range(rng.randrange(5)):
        key = quote(text(rng, WILD, 5), safe='-_.~') or 'k'
        value = quote(text(rng, WILD, 6), safe='-_.~')
        pairs[key] = value
        many.append((key, value))
        if form == 'header' and rng.random() < 0.2:
            many.append((key, quote(text(rng, WILD, 3), safe='-_.~')))
    items = list(pairs.items()) if form == 'query' else many
    if not items:
        return ''
    return '?' + '&'.join(f'{k}={v}' if v or rng.random() < 0.7 or form == 'query' else k
                          for k, v in items)


def headers_of(rng):
    lines = []
    for _ in range(rng.randrange(5)):
        name = rng.choice(['X-Amz-Target', 'Content-Type', 'X-Amz-Meta-A', 'x-amz-meta-b',
                           'User-Agent', 'X-Amzn-Trace-Id', 'Range', 'Expect', 'A-B', 'A'])
        value = ''.join(rng.choice(NAMES + '   \t,;="') for _ in range(rng.randrange(20)))
        lines.append((name, value))
    return lines


def case_of(rng):
    service = rng.choice(['s3', 'ssm', 'ec2messages', 'ssmmessages', 'execute-api'])
    form = rng.choice(['header', 'header', 'query'])
    scheme = rng.choice(['http', 'https'])
    host = rng.choice(['h', 'Bucket.S3.example.COM', '127.0.0.1', '[::1]', '[fd00:ec2::254]'])
    port = rng.choice(['', ':80', ':443', ':8080'])
    method = rng.choice(['GET', 'PUT', 'POST', 'DELETE', 'HEAD'])
    body = text(rng, WILD + '\n\t', 40) if form == 'header' and method in ('PUT', 'POST') else ''
    return {
        'service': service, 'query': form == 'query', 'method': method, 'body': body,
        'url': f'{scheme}://{host}{port}{path_of(rng, service)}{query_of(rng, form)}',
        'headers': headers_of(rng), 'region': rng.choice(['eu-west-1', 'us-east-1', 'x']),
        'access': 'AKID' + text(rng, NAMES, 16), 'secret': 's' + text(rng, WILD, 40),
        'token': rng.choice([None, 't' + text(rng, NAMES + '/+=', 200)]), 'when': WHEN,
    }


def botocore_signs(case):
    name = ('S3SigV4' if case['service'] == 's3' else 'SigV4') + ('QueryAuth' if case['query'] else 'Auth')
    credentials = Credentials(case['access'], case['secret'], case['token'])
    options = {'expires': 600} if case['query'] else {}
    signer = getattr(botocore.auth, name)(credentials, case['service'], case['region'], **options)
    request = AWSRequest(method=case['method'], url=case['url'], data=case['body'].encode())
    for key, value in case['headers']:
        request.headers.add_header(key, value)
    signer.add_auth(request)
    if not case['query']:
        return request.headers['Authorization']
    return request.url.split('X-Amz-Signature=')[1]


def main():
    program = sys.argv[1]
    rng = random.Random(20240305)
    cases = [case_of(rng) for _ in range(COUNT)]
    lines = [json.dumps(dict(c, headers=[f'{k}: {v}' for k, v in c['headers']])) for c in cases]
    run = subprocess.run([program], input='\n'.join(lines) + '\n', stdout=subprocess.PIPE,
                         encoding='utf-8', check=True)
    answers = [json.loads(line) for line in run.stdout.split('\n') if line]
    bad = {'header': 0, 'query': 0}
    seen = {'header': 0, 'query': 0}
    for case, answer in zip(cases, answers):
        form = 'query' if case['query'] else 'header'
        got = answer.get('result', '')
        if case['query']:
            got = got.split('X-Amz-Signature=')[-1]
        seen[form] += 1
        want = botocore_signs(case)
        if got != want:
            bad[form] += 1
            print('#', json.dumps(case))
            print('# botocore:', want)
            print('# ours:', json.dumps(answer))
    result = 0
    for form in ('header', 'query'):
        fine = not bad[form] and seen[form] > COUNT / 5 and len(answers) == COUNT
        result |= not fine
        print('ok' if fine else 'not ok', f'- {seen[form]} random requests signed by {form} as botocore does')
    print('1..2')
    return result


sys.exit(main())
