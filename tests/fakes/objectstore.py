"""A real S3 server on loopback (moto) with one empty bucket, for tests of doors and of whole runs."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import boto3
import fsspec
from moto.server import ThreadedMotoServer

BUCKET = "valor-test"


@contextmanager
def object_store() -> Iterator[str]:
    """`s3://<bucket>` of a server that lives as long as the `with`; the environment points at it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        with mock.patch.dict(os.environ, settings):
            # s3fs keeps its instances, and with them the port of an earlier server.
            fsspec.get_filesystem_class("s3").clear_instance_cache()
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            yield f"s3://{BUCKET}"
            fsspec.get_filesystem_class("s3").clear_instance_cache()
    finally:
        server.stop()
