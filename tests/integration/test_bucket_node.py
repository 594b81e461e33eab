"""A node whose files lie in a bucket: its settings, its doctor, its backup."""

from pathlib import Path

import pytest

import buckets
from agent import settings
from agent.errors import ConfigurationError
from command import done, run
from storage.bucket import Address, Bucket


def configured(folder: Path, address: Address, *, secret: str = buckets.SECRET) -> Path:
    file = folder / "agent.toml"
    file.write_text(
        "\n".join(
            [
                "[node]",
                "port = 0",
                f'data_dir = "{(folder / "data").as_posix()}"',
                f'files_url = "{address.url}"',
                f'files_endpoint = "{address.endpoint}"',
                f'files_key_id = "{buckets.KEY_ID}"',
                f'files_secret = "{secret}"',
                "[status]",
                "enabled = false",
            ]
        ),
        encoding="utf-8",
    )
    return file


def test_the_doctor_tries_the_bucket(bucket_address: Address, tmp_path: Path) -> None:
    said = done(configured(tmp_path, bucket_address), "doctor", "--json")
    assert "takes, gives and removes objects" in said
    assert list(Bucket(bucket_address).entries("probe")) == []


def test_the_doctor_says_that_there_is_no_such_bucket(
    shared_server: buckets.S3Server, tmp_path: Path
) -> None:
    address = buckets.address(shared_server.endpoint, "not-there")
    refused = run(configured(tmp_path, address), "doctor", "--json")
    assert refused.exit_code == 1
    assert "s3://not-there/node" in refused.stdout
    assert buckets.SECRET not in refused.stdout + refused.stderr


def test_a_backup_lists_what_stays_in_the_bucket(bucket_address: Address, tmp_path: Path) -> None:
    config = configured(tmp_path, bucket_address)
    done(config, "doctor")
    bucket = Bucket(bucket_address)
    bucket.put("images/a/b.dcm", b"an image")
    cached = tmp_path / "data" / "cache" / "images"
    cached.mkdir(parents=True)
    (cached / "copy.dcm").write_bytes(b"a copy")
    done(config, "backup", tmp_path / "saved")
    assert "images/a/b.dcm" in (tmp_path / "saved" / "objects.txt").read_text()
    assert not list((tmp_path / "saved").rglob("*.dcm"))


@pytest.mark.parametrize("url", ["/somewhere", "s3://", "http://x/y", "s3://key@bucket/x"])
def test_what_is_no_bucket_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="files_url"):
        settings.parse(f'[node]\nfiles_url = "{url}"\n'.encode(), tmp_path / "agent.toml")


def test_a_share_of_the_disk_says_nothing_of_a_bucket() -> None:
    with pytest.raises(ConfigurationError, match="used_percent"):
        settings.parse(b'[node]\nfiles_url = "s3://b"\n[retention]\nused_percent = 80\n', None)


def test_the_usual_variables_name_the_key(
    shared_server: buckets.S3Server, bucket_address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", buckets.KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", buckets.SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", shared_server.endpoint)
    bucket = Bucket(Address(url=bucket_address.url))
    assert bucket.put("x", b"y", only_new=True)
    assert bucket.get("x") == b"y"
