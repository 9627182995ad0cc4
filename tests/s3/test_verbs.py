# SPDX-License-Identifier: Apache-2.0
"""Our verbs against real servers that check signatures."""
import base64
import os
import subprocess
import zlib

import pytest
from s3_faults import Fault

ODD_KEYS = ["sp ace", "plus+plus", "per%cent", "per%25cent", "%2F", "a//b", "//a", "\u00fc\u4f60\U0001f600", "quo'te\"s", "(b)r!a*c", "a&b=c?d#e",
            "dots/../../up", "./here", "semi;colon,comma:", "tilde~", "new\nline", "back\\slash", "trailing/", "<x>&amp;", "x" * 200]


def content(count, seed=7):
    return bytes((i * seed + i // 251) & 255 for i in range(1 << 16)) * (count // (1 << 16)) + b"e" * (count % (1 << 16))


def test_an_object_is_put_looked_at_got_and_deleted(s3):
    s3.write("in", b"hello, object")
    assert s3("put", "dir/one", "in")["etag"]
    assert s3("head", "dir/one")["object_bytes"] == 13
    assert s3("cat", "dir/one") == b"hello, object"
    assert s3("get", "dir/one", "out")["transferred"] == 13
    assert s3.read("out") == b"hello, object"
    s3("delete", "dir/one")
    s3("delete", "dir/one")
    s3("head", "dir/one", status=3)
    assert s3.keys() == []


def test_empty_objects_are_objects(s3):
    s3.write("in", b"")
    s3("put", "empty", "in")
    assert s3("head", "empty")["object_bytes"] == 0
    got = s3("get", "empty", "out")
    assert (got["object_bytes"], got["transferred"], got["requests"]) == (0, 0, 1)
    assert s3("cat", "empty") == b""
    assert s3("get", "empty", "out", 0, 0)["transferred"] == 0
    past = s3("get", "empty", "out", 0, 5)
    assert (past["object_bytes"], past["transferred"]) == (0, 0)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_signed_as_they_are_sent(s3, key):
    """A server may refuse such a name, or take two for one, but never for its signature: then it is 400, not 403."""
    s3.write("in", key.encode())
    put = subprocess.run(s3.command("put", key, "in"), env=s3.env, cwd=s3.directory, capture_output=True, text=True, timeout=60)
    if put.returncode != 0:
        assert "the server answers 400 " in put.stderr, put.stderr
        pytest.skip(f"the server takes no such name: {put.stderr.strip()}")
    assert s3("cat", key) == key.encode()
    assert s3("head", key)["object_bytes"] == len(key.encode())
    if not {"", ".", ".."} & set(key.rstrip("/").split("/")):  # what a file system makes another path of
        assert s3.keys() == [key]
        assert s3.keys(key[:3]) == [key]
    s3("delete", key)
    assert s3.keys() == []


def crc64nvme(data):
    """By its definition, bit by bit."""
    total = (1 << 64) - 1
    for byte in data:
        total ^= byte
        for _ in range(8):
            total = total >> 1 ^ (0x9A6C9329AC4BC9B5 if total & 1 else 0)
    return total ^ ((1 << 64) - 1)


@pytest.mark.parametrize("name, total", [("crc32", lambda data: zlib.crc32(data).to_bytes(4)), ("crc64nvme", lambda data: crc64nvme(data).to_bytes(8))])
def test_checksums_that_other_tools_put_are_compared(faulty, proxy, server, name, total):
    """The AWS command line puts CRC-64/NVME, its SDKs CRC-32."""
    data = content(5000)
    field = (f"x-amz-checksum-{name}", base64.b64encode(total(data)).decode())
    assert server.ask("PUT", f"/{faulty.bucket}/theirs", body=data, fields=[field, ("x-amz-sdk-checksum-algorithm", name.upper())]) == 200
    assert faulty("cat", "theirs") == data
    proxy.faults.append(Fault("flip", method="GET"))
    assert faulty("get", "theirs", "out")["requests"] == 2 and faulty.read("out") == data
    proxy.faults.append(Fault("flip", method="GET"))
    faulty("cat", "theirs", status=3)
    assert f"what came has another checksum than the object ({name} {field[1]})" in faulty.error


@pytest.mark.parametrize("offset, length, expected", [(0, 10, (0, 10)), (5, 7, (5, 12)), (99990, 100, (99990, 100000)), (99999, -1, (99999, 100000)),
                                                      (100000, -1, (0, 0)), (200000, 5, (0, 0)), (7, 0, (0, 0)),
                                                      (2**63 - 1, 5, (0, 0)), (2**63 - 1, -1, (0, 0)), (5, 2**63 - 1, (5, 100000)), (0, -1, (0, 100000))])
def test_ranges_are_exact(s3, offset, length, expected):
    whole = content(100000)
    s3.write("in", whole)
    s3("put", "object", "in")
    wanted = whole[expected[0]:expected[1]]
    assert s3("cat", "object", offset, length) == wanted
    got = s3("get", "object", "out", offset, length)
    assert (got["transferred"], got["object_bytes"]) == (len(wanted), 100000)
    assert s3.read("out") == wanted


def test_large_objects_go_in_parts_side_by_side_both_ways(s3):
    whole = content(31 * (1 << 20) + 12345)
    s3.write("in", whole)
    up = s3("put", "large", "in", part=5 << 20)
    assert up["etag"].endswith('-7"') and up["requests"] == 9
    down = s3("get", "large", "out", part=4 << 20)
    assert s3.read("out") == whole and down["requests"] == 8
    assert s3("cat", "large") == whole
    assert s3("get", "large", "out", 3 << 20, 17 << 20, part=4 << 20)["transferred"] == 17 << 20
    assert s3.read("out") == whole[3 << 20:20 << 20]
    assert s3.uploads() == []


def test_a_prefix_and_a_delimiter_fold_and_pages_follow_each_other(s3, server):
    for name in ("a/1", "a/2", "b/c/3", "d", "e f/+4"):
        s3("put-text", name, name)
    assert s3.keys() == ["a/1", "a/2", "b/c/3", "d", "e f/+4"]
    assert s3.keys("a/") == ["a/1", "a/2"]
    assert sorted(s3.keys("", "/")) == ["a/", "b/", "d", "e f/"]
    assert s3.keys("e ") == ["e f/+4"]
    assert s3.keys("none") == []


def test_more_than_a_page_is_listed_whole(s3):
    names = [f"page/{i:05d}" for i in range(1005)]
    s3("put-many", "page/", 1005)
    listing = s3("ls", "page/")
    assert [item["key"] for item in listing["items"]] == names
    assert listing["requests"] == 2


def test_if_absent_takes_the_first_alone(s3):
    s3.write("one", b"1")
    s3.write("two", b"2")
    s3("put", "once", "one", "if-absent")
    s3("put", "once", "two", "if-absent", status=3)
    assert "PreconditionFailed" in s3.error
    assert s3("cat", "once") == b"1"


def test_an_upload_that_is_given_up_is_aborted_on_the_server(faulty, proxy):
    """With a part that is there, and one under way for as long as it takes."""
    faulty.write("in", content(64 << 20))
    proxy.faults.append(Fault("status", status=503, code="SlowDown", field=("Retry-After", "60"), method="PUT", path="partNumber", skip=1, times=99))
    faulty("put", "never", "in", cancel=3000, part=5 << 20, parallel=2)
    assert len(proxy.requests("PUT", "partNumber")) > 1 and len(proxy.requests("DELETE", "uploadId")) == 1
    assert faulty.keys() == [] and faulty.uploads() == [] and faulty("uploads", "never").get("items", []) == []


def test_open_uploads_are_listed_and_aborted(s3, server):
    assert server.ask("POST", f"/{s3.bucket}/left/behind", [("uploads", "")]) == 200
    found = s3("uploads", "left/behind")["items"]  # MinIO lists uploads only under the whole key
    assert [item["key"] for item in found] == ["left/behind"]
    s3("abort", "left/behind", found[0]["upload_id"])
    s3("abort", "left/behind", found[0]["upload_id"])
    assert s3("uploads", "left/behind").get("items", []) == []


def test_a_sink_that_has_enough_ends_the_request(s3):
    s3.write("in", content(8 << 20))
    s3("put", "object", "in")
    got = s3("cat", "object", status=130, enough=1000)
    assert 1000 <= len(got) < 8 << 20


def test_wrong_credentials_buckets_and_keys_say_so(s3):
    s3("head-bucket")
    s3("get", "nothing/here", "out", status=3)
    assert f"get s3://{s3.bucket}/nothing/here: the server answers 404 NoSuchKey" in s3.error
    s3("head-bucket", bucket="no-such-bucket", status=3)
    s3("ls", bucket="no-such-bucket", status=3)
    assert "NoSuchBucket" in s3.error and "make the bucket" in s3.error
    s3.env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    s3("ls", status=3)
    assert "SignatureDoesNotMatch" in s3.error and "the secret key is not the one" in s3.error
    s3("head-bucket", status=3)
    assert "403" in s3.error and "credentials" in s3.error
    s3.env["AWS_ACCESS_KEY_ID"] = "nobody"
    s3("ls", status=3)
    assert "does not know this access key" in s3.error
    del s3.env["AWS_ACCESS_KEY_ID"], s3.env["AWS_SECRET_ACCESS_KEY"]
    s3("ls", status=3)
    assert "find AWS credentials: none" in s3.error and ".aws/credentials: no such file" in s3.error


def test_keys_and_prefixes_that_no_server_can_have_are_refused(s3):
    s3.write("in", b"x")
    s3("put", "k" * 1025, "in", status=2)
    s3("put", "", "in", status=2)
    assert "a key has 1 to 1024 bytes" in s3.error
    s3("ls", "p" * 20000, status=2)
    assert "too long" in s3.error


def test_a_profile_of_the_shared_files_signs(s3):
    (s3.directory / ".aws").mkdir()
    (s3.directory / ".aws/credentials").write_text(
        f"[lab]\naws_access_key_id = {s3.env.pop('AWS_ACCESS_KEY_ID')}\naws_secret_access_key = {s3.env.pop('AWS_SECRET_ACCESS_KEY')}\n")
    (s3.directory / ".aws/config").write_text("[profile lab]\nregion = us-east-1\ns3 =\n    addressing_style = path\n")
    s3("head-bucket", status=3)
    s3("head-bucket", profile="lab")
    s3.env["AWS_PROFILE"] = "lab"
    s3("head-bucket")


def test_an_unreachable_server_is_said_after_a_few_tries(s3):
    s3.url = "http://127.0.0.1:1"
    s3("head-bucket", status=3, attempts=3)
    assert "tried 3 times" in s3.error and "is the endpoint http://127.0.0.1:1 right" in s3.error


@pytest.mark.parametrize("options, reason", [
    ({"endpoint": "127.0.0.1:9000"}, "is not http[s]://host[:port]"), ({"endpoint": "http://"}, "is not http[s]://host[:port]"),
    ({"endpoint": "http://127.0.0.1:99999"}, "is not http[s]://host[:port]"),
    ({"bucket": "Bad Name"}, "is no name of a bucket"), ({"region": "a b"}, "is no name of a region")])
def test_wrong_settings_are_refused_before_anything_is_asked(s3, options, reason):
    s3("head-bucket", status=2, **options)
    assert reason in s3.error


def test_virtual_hosts_are_signed_under_their_name(s3, server):
    s3.url = server.url.replace("127.0.0.1", "localhost")
    s3.write("in", b"virtual")
    s3("put", "sp ace/+", "in", style="virtual")
    assert s3("cat", "sp ace/+", style="virtual") == b"virtual"
    assert s3("ls", style="virtual")["items"][0]["key"] == "sp ace/+"


def test_memory_does_not_depend_on_the_size_of_an_object(s3):
    peaks = {}
    for size in (16 << 20, 256 << 20):
        path = s3.directory / "sparse"
        with open(path, "wb") as file:
            file.truncate(size)
        peaks[size] = max(s3("put", "big", "sparse")["peak_kb"], s3("get", "big", "out")["peak_kb"])
        os.unlink(path)
    small, large = peaks.values()
    assert large - small < 24 * 1024, peaks
