# SPDX-License-Identifier: Apache-2.0
# The sandbox's S3 and CloudWatch Logs: the node's and the operator's requests by botocore.
# Prints TAP lines without a plan.
"""usage: sandbox_logs.py READY.json PROGRAM"""
import os
import time

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from fake_node import Node
from sandbox_lib import READY, ok, operator_credentials, same

NOT_FOUND = "ServerSideEncryptionConfigurationNotFoundError"


def client(service, credentials, region=None):
    return botocore.session.Session().create_client(
        service, region_name=region or READY["region"], endpoint_url=READY["endpoint"],
        aws_access_key_id=credentials.access_key, aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token, config=Config(retries={"max_attempts": 0}))


def refused(what, code, function, **arguments):
    try:
        answer = function(**arguments)
    except ClientError as error:
        return same(error.response["Error"]["Code"], code, "%s: %s" % (what, code))
    return ok(False, "%s: %s" % (what, code), "answered %r" % (answer,))


def algorithm(s3, bucket):
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]


def test_buckets(node, operator):
    refused("a bucket that is not there", "404", node.head_bucket, Bucket="logs-1")
    refused("a node makes no buckets", "AccessDenied", node.create_bucket, Bucket="logs-1",
            CreateBucketConfiguration={"LocationConstraint": READY["region"]})
    operator.create_bucket(Bucket="logs-1", CreateBucketConfiguration={"LocationConstraint": READY["region"]})
    refused("once", "BucketAlreadyOwnedByYou", operator.create_bucket, Bucket="logs-1",
            CreateBucketConfiguration={"LocationConstraint": READY["region"]})
    refused("a name that is none", "InvalidBucketName", operator.create_bucket, Bucket="Logs_1",
            CreateBucketConfiguration={"LocationConstraint": READY["region"]})
    headers = node.head_bucket(Bucket="logs-1")["ResponseMetadata"]["HTTPHeaders"]
    same(headers["x-amz-bucket-region"], READY["region"], "a bucket says where it is")
    same(algorithm(node, "logs-1"), "AES256", "a new bucket is encrypted")
    operator.delete_bucket_encryption(Bucket="logs-1")
    refused("not any more", NOT_FOUND, node.get_bucket_encryption, Bucket="logs-1")
    operator.put_bucket_encryption(Bucket="logs-1", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/x"}}]})
    same(algorithm(node, "logs-1"), "aws:kms", "again")


def test_objects(node, operator):
    key = "a b/op@example.com-0a=,+.log"
    node.put_object(Bucket="logs-1", Key=key, Body=b"hello", ContentType="text/plain",
                    ACL="bucket-owner-full-control")
    answer = operator.get_object(Bucket="logs-1", Key=key)
    same((answer["Body"].read(), answer["ContentType"], answer["ServerSideEncryption"],
          answer["SSEKMSKeyId"]), (b"hello", "text/plain", "aws:kms", "alias/x"), "an object and what is known of it")
    same(operator.get_object_acl(Bucket="logs-1", Key=key)["Grants"][0]["Permission"], "FULL_CONTROL", "whose it is")
    same([x["Key"] for x in operator.list_objects_v2(Bucket="logs-1", Prefix="a ")["Contents"]], [key], "listed")
    same(operator.list_objects_v2(Bucket="logs-1", Prefix="b")["KeyCount"], 0, "by its prefix")
    refused("no such object", "NoSuchKey", operator.get_object, Bucket="logs-1", Key="x")
    refused("no such bucket", "NoSuchBucket", node.put_object, Bucket="nope", Key="x", Body=b"")
    refused("a node does not read", "AccessDenied", node.get_object, Bucket="logs-1", Key=key)
    refused("an unknown encryption", "InvalidArgument", node.put_object, Bucket="logs-1", Key="x", Body=b"",
            ServerSideEncryption="rot13")
    refused("a header that is not known", "InvalidArgument", node.put_object, Bucket="logs-1", Key="x", Body=b"",
            StorageClass="GLACIER")
    refused("too large", "413", node.put_object, Bucket="logs-1", Key="x", Body=b"x" * (5 << 20))


def test_region(node, operator, node_credentials):
    other = "ap-south-1"
    operator.create_bucket(Bucket="logs-far", CreateBucketConfiguration={"LocationConstraint": other})
    far = client("s3", node_credentials, other)
    same(algorithm(far, "logs-far"), "AES256", "a bucket elsewhere, asked for there")
    same(algorithm(node, "logs-far"), "AES256", "and from here, by way of a redirect")


def test_groups(node, operator):
    refused("no such group", "ResourceNotFoundException", node.create_log_stream, logGroupName="/g/a",
            logStreamName="s")
    refused("a node makes no groups", "AccessDeniedException", node.create_log_group, logGroupName="/g/a")
    operator.create_log_group(logGroupName="/g/a", kmsKeyId="arn:aws:kms:x:1:key/1")
    refused("once", "ResourceAlreadyExistsException", operator.create_log_group, logGroupName="/g/a")
    for i in range(60):
        operator.create_log_group(logGroupName="/g/a%d" % i)
    page = node.describe_log_groups(logGroupNamePrefix="/g/a")
    names = [g["logGroupName"] for g in page["logGroups"]]
    same((len(names), page["logGroups"][0]["kmsKeyId"]), (50, "arn:aws:kms:x:1:key/1"), "a page of groups")
    page = node.describe_log_groups(logGroupNamePrefix="/g/a", nextToken=page["nextToken"])
    same((len(page["logGroups"]), "nextToken" in page), (11, False), "and the last one")


def events(*messages):
    now = int(time.time() * 1000)
    return [{"timestamp": now, "message": m} for m in messages]


def test_events(node, operator):
    node.create_log_stream(logGroupName="/g/a", logStreamName="s")
    refused("once", "ResourceAlreadyExistsException", node.create_log_stream, logGroupName="/g/a", logStreamName="s")
    where = {"logGroupName": "/g/a", "logStreamName": "s"}
    refused("the operator puts none", "AccessDeniedException", operator.put_log_events, logEvents=events("x"), **where)
    node.put_log_events(logEvents=events("one", "tw\u00f6"), **where)
    node.put_log_events(logEvents=events("three"), sequenceToken="whatever", **where)
    answer = operator.get_log_events(startFromHead=True, limit=2, **where)
    same([e["message"] for e in answer["events"]], ["one", "tw\u00f6"], "events, read again")
    answer = operator.get_log_events(startFromHead=True, nextToken=answer["nextForwardToken"], **where)
    same([e["message"] for e in answer["events"]], ["three"], "and those that came after")
    refused("a large event", "InvalidParameterException", node.put_log_events,
            logEvents=events("x" * (256 * 1024)), **where)
    refused("a large batch", "InvalidParameterException", node.put_log_events,
            logEvents=events(*["x" * 250000] * 5), **where)
    refused("out of order", "InvalidParameterException", node.put_log_events,
            logEvents=events("x") + [{"timestamp": 5, "message": "y"}], **where)
    node.put_log_events(logEvents=[{"timestamp": 5, "message": "y"}], **where)
    same(len(operator.get_log_events(**where)["events"]), 3, "what is too old is not kept")
    streams = operator.describe_log_streams(logGroupName="/g/a", logStreamNamePrefix="s")["logStreams"]
    same([s["logStreamName"] for s in streams], ["s"], "streams")
    refused("no such stream", "ResourceNotFoundException", node.put_log_events, logEvents=events("x"),
            logGroupName="/g/a", logStreamName="t")


def main():
    node, operator = Node(READY).credentials, operator_credentials()
    s3 = client("s3", node), client("s3", operator)
    logs = client("logs", node), client("logs", operator)
    test_buckets(*s3)
    test_objects(*s3)
    test_region(s3[0], s3[1], node)
    test_groups(*logs)
    test_events(*logs)


main()
