"""A real S3 server on loopback (moto), for tests of doors and of whole runs."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import boto3
import fsspec
import requests
from moto.server import ThreadedMotoServer

BUCKET = "valor-test"


@contextmanager
def s3_server() -> Iterator[str]:
    """Address of a server that lives as long as the `with`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@contextmanager
def empty_bucket(server: str) -> Iterator[str]:
    """`s3://<bucket>`, the only one and empty; the environment points this process and its children at it."""
    settings = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }
    filesystem = fsspec.get_filesystem_class("s3")
    with mock.patch.dict(os.environ, settings):
        requests.post(f"{server}/moto-api/reset", timeout=10).raise_for_status()
        filesystem.clear_instance_cache()  # an instance keeps the address and keys it was made with
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield f"s3://{BUCKET}"
    filesystem.clear_instance_cache()
