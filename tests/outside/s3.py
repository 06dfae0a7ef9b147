"""An S3 with one empty bucket, `telemetry`, until standard input ends.

Prints one line of JSON: the address. Each request is a line of the file that is named, if one is,
once its answer begins: `"GET /telemetry/<path> HTTP/1.1" 206 -`.
"""

import json
import logging
import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")

import boto3
import werkzeug.serving
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
# After the start, which silences it; without the colours of a terminal.
werkzeug.serving._log_add_style = False
requests = logging.getLogger("werkzeug")
requests.setLevel(logging.INFO)
requests.propagate = False
requests.addHandler(logging.FileHandler(sys.argv[1]) if sys.argv[1:] else logging.NullHandler())
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="telemetry")
print(json.dumps({"endpoint": endpoint}), flush=True)
sys.stdin.read()
server.stop()
