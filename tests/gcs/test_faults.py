"""What every fault between client and server does. The table in docs/gcs.md is this file's names and words."""

import io
from pathlib import Path

import pytest

from components.artifacts import gcs, gcs_ranges, reference, storage
from components.errors import Conflict, DataError, Missing, Unreachable
from tests.gcs.fault_proxy import Fault, Message, damaged, flipped, status, without

LARGE = bytes(range(256)) * 4096 * 20  # 20 MB: ten pieces, three chunks


def holds(uri: str, data: bytes) -> bool:
    """Compared here, as pytest would show where 20 MB differ, for hours."""
    return gcs.read(uri)[0] == data


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("kind", ["download", "stat", "list", "upload"])
def test_a_server_in_trouble_is_asked_again(faulty, proxy, code, kind):
    storage.write_bytes(f"{faulty}/a", b"before")
    proxy.play(Fault(kind, 2, instead=status(code)))
    storage.write_bytes(f"{faulty}/a", b"after")
    assert list(storage.list_files(faulty)) == ["a"] and storage.size(f"{faulty}/a") == 5
    assert storage.read_bytes(f"{faulty}/a") == b"after"
    assert [seen.status for seen in proxy.seen if seen.kind == kind][:3] == [
        code,
        code,
        200 if kind != "download" else 206,
    ]


def test_retry_after_is_waited_for(faulty, proxy, monkeypatch):
    from components.artifacts import gcs_connection

    waited = []
    monkeypatch.setattr(gcs_connection.time, "sleep", waited.append)
    monkeypatch.setattr(gcs_connection, "PATIENCE", gcs_connection.Patience(2, 2, 1, 9, 0.001, 60))
    storage.write_bytes(f"{faulty}/a", b"1")
    proxy.play(Fault("download", instead=status(503, Retry_After="7")))
    assert storage.read_bytes(f"{faulty}/a") == b"1"
    assert 7 in waited


def test_a_server_that_stays_in_trouble_is_given_up_in_one_line(faulty, proxy, haste):
    storage.write_bytes(f"{faulty}/a", b"1")
    proxy.play(Fault("download", 10_000, instead=status(503)))
    with pytest.raises(Unreachable, match=r"^gs://.*/a: no answer within 4 s \(.*503.*\); try again later$"):
        storage.read_bytes(f"{faulty}/a")
    assert len(proxy.seen) > 3


@pytest.mark.parametrize("code", [400, 401, 403, 404])
def test_what_no_repetition_helps_is_not_repeated(faulty, proxy, code):
    proxy.play(Fault("stat", 10, instead=status(code)))
    with pytest.raises(DataError):
        storage.size(f"{faulty}/a")
    assert proxy.kinds().count("stat") == 1


def test_a_download_that_is_cut_goes_on_where_it_was_cut(faulty, proxy):
    storage.write_bytes(f"{faulty}/large", LARGE)
    proxy.play(Fault("download", cut_down=1_000_000))
    assert holds(f"{faulty}/large", LARGE)
    assert sum(seen.bytes_down for seen in proxy.seen) == len(LARGE) + gcs_ranges.PIECE - 1_000_000


def test_an_upload_that_is_cut_is_finished(faulty, proxy, tmp_path):
    proxy.play(Fault("chunk", 2, cut_up=3_000_000, after=1))
    storage.put_file(written(tmp_path, LARGE), f"{faulty}/large")
    assert holds(f"{faulty}/large", LARGE)
    assert proxy.kinds().count("upload") == 1 and proxy.kinds().count("chunk") == 5


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_small_upload_that_is_cut_is_repeated(faulty, proxy, size):
    proxy.play(Fault("upload", cut_up=5))
    storage.write_bytes(f"{faulty}/a", LARGE[:size])
    assert holds(f"{faulty}/a", LARGE[:size])


def test_an_upload_whose_answer_is_lost_counts_as_done(faulty, proxy):
    proxy.play(Fault("upload", cut_down=0))
    generation = gcs.replace(f"{faulty}/a", io.BytesIO(b"mine"), 0)
    assert [seen.status for seen in proxy.seen if seen.kind == "upload"] == [200, 412]
    assert gcs.read(f"{faulty}/a") == (b"mine", generation)


def test_bytes_that_were_damaged_on_the_way_down_are_not_used(faulty, proxy, tmp_path):
    storage.write_bytes(f"{faulty}/a", LARGE)
    for after in (0, 3):
        proxy.play(Fault("download", answer=damaged, after=after))
        with pytest.raises(Unreachable, match="wrong checksum, the bytes were damaged on the way and are not used"):
            storage.local_copy(f"{faulty}/a", tmp_path / "here")
        assert list((tmp_path / "here").iterdir()) == []


def test_a_download_whose_answer_names_no_checksum_is_checked_all_the_same(faulty, proxy):
    storage.write_bytes(f"{faulty}/a", b"right")
    proxy.play(Fault("download", 9, answer=without("X-Goog-Hash")))
    assert holds(f"{faulty}/a", b"right") and proxy.kinds() == ["download", "stat"]
    proxy.play(Fault("download", answer=lambda m: damaged(without("X-Goog-Hash")(m))))
    with pytest.raises(Unreachable, match="wrong checksum"):
        storage.read_bytes(f"{faulty}/a")


@pytest.mark.parametrize("size", [1_000_000, len(LARGE)])
def test_bytes_that_were_damaged_on_the_way_up_do_not_stay(faulty, proxy, tmp_path, size):
    kind = "upload" if size < 8 << 20 else "chunk"
    proxy.play(Fault(kind, request=lambda body: flipped(body, len(body) // 2)))
    with pytest.raises(Unreachable, match="wrong checksum"):
        storage.put_file(written(tmp_path, LARGE[:size]), f"{faulty}/a")
    assert not storage.exists(f"{faulty}/a") and (tmp_path / "source").exists()


def test_an_answer_that_drips_is_asked_for_anew_from_where_it_is(faulty, proxy, haste):
    storage.write_bytes(f"{faulty}/a", LARGE[:100_000])
    proxy.play(Fault("download", drip_s=0.05, drip_bytes=1000))
    assert holds(f"{faulty}/a", LARGE[:100_000])
    assert proxy.kinds() == ["download", "download"]


def test_an_answer_that_always_drips_is_given_up(faulty, proxy, haste):
    storage.write_bytes(f"{faulty}/a", LARGE[:100_000])
    proxy.play(Fault("download", 10_000, drip_s=0.05, drip_bytes=1000))
    with pytest.raises(Unreachable, match="no answer within 4 s"):
        storage.read_bytes(f"{faulty}/a")


def test_an_object_that_is_replaced_while_it_is_read_is_no_mixture(faulty, proxy):
    storage.write_bytes(f"{faulty}/a", LARGE[: gcs_ranges.PIECE + 1])

    def replaced(answer: Message) -> Message:
        storage.write_bytes(f"{faulty}/a", b"other")
        return answer

    proxy.play(Fault("download", answer=replaced))
    with pytest.raises(Unreachable, match="was replaced while it was read"):
        storage.read_bytes(f"{faulty}/a")


def test_a_stale_generation_is_refused_and_the_other_bytes_stay(faulty):
    generation = gcs.replace(f"{faulty}/a", io.BytesIO(b"old"), 0)
    gcs.replace(f"{faulty}/a", io.BytesIO(b"theirs"), generation)
    with pytest.raises(Conflict, match="written by somebody else meanwhile"):
        gcs.replace(f"{faulty}/a", io.BytesIO(b"mine"), generation)
    assert holds(f"{faulty}/a", b"theirs")


@pytest.mark.parametrize("kind", ["upload", "chunk"])
def test_a_stale_generation_is_refused_in_a_resumable_upload_too(faulty, proxy, kind):
    # Google answers so at the beginning or the end of the session; this server does not look.
    generation = gcs.replace(f"{faulty}/a", io.BytesIO(b"theirs"), 0)
    proxy.play(Fault(kind, instead=status(412)))
    with pytest.raises(Conflict, match="written by somebody else meanwhile"):
        gcs.replace(f"{faulty}/a", io.BytesIO(LARGE), generation - 1)
    assert holds(f"{faulty}/a", b"theirs") and proxy.kinds().count(kind) == 1


def test_no_permission_names_the_role_and_the_bucket(faulty, proxy):
    for kind, role, ask in (
        ("download", "roles/storage.objectViewer", lambda: storage.read_bytes(f"{faulty}/a")),
        ("list", "roles/storage.objectViewer", lambda: list(storage.list_files(faulty))),
        ("upload", "roles/storage.objectUser", lambda: storage.create(f"{faulty}/a", b"")),
    ):
        proxy.play(Fault(kind, instead=status(403)))
        with pytest.raises(DataError, match=f"permission denied; give whoever runs this the role {role} on {faulty}"):
            ask()


def test_credentials_that_are_refused_are_named(faulty, proxy):
    proxy.play(Fault("download", 9, instead=status(401)))
    with pytest.raises(DataError, match="Google refuses the credentials .*gcloud auth application-default login"):
        storage.read_bytes(f"{faulty}/a")


@pytest.mark.parametrize(
    "ask",
    [
        lambda uri: storage.read_bytes(f"{uri}/a"),
        lambda uri: storage.size(f"{uri}/a"),
        lambda uri: list(storage.list_files(uri)),
        lambda uri: storage.write_bytes(f"{uri}/a", b"1"),
        lambda uri: storage.write_bytes(f"{uri}/a", LARGE),
    ],
)
def test_a_bucket_that_is_not_there_is_named_whatever_is_asked(faulty, ask):
    with pytest.raises(Missing, match="there is no bucket gs://no-such-bucket; check the address, or make the bucket"):
        ask("gs://no-such-bucket")


def test_a_reference_whose_upload_fails_is_never_visible(faulty, proxy, haste):
    def publish() -> str:
        with reference.draft(f"{faulty}/data", "shards") as draft:
            for number in range(4):
                (draft.folder / f"{number}.tfrecord").write_bytes(LARGE[: 100 + number])
            return draft.commit({"n": 4}, {})

    proxy.play(Fault("upload", 10_000, after=3, instead=status(503)))
    with pytest.raises(Unreachable):
        publish()
    assert not any(name.endswith(reference.INDEX) for name in storage.list_files(f"{faulty}/data"))
    proxy.play()
    assert reference.read_index(publish(), "shards") == {"n": 4}


def test_a_half_written_reference_is_taken_up_and_not_written_twice(faulty, proxy):
    def publish(made_by: dict) -> str:
        with reference.draft(f"{faulty}/data", "shards") as draft:
            (draft.folder / "a").write_bytes(b"1234")
            return draft.commit({}, made_by)

    made = publish({"first": 1})
    gcs.remove(f"{made}/{reference.INDEX}", gcs.read(f"{made}/{reference.INDEX}")[1])
    before = gcs.read(f"{made}/a")
    assert publish({"second": 2}) == made
    assert gcs.read(f"{made}/a") == before and reference.read_made_by(made)["second"] == 2


def test_a_foreign_file_in_a_references_place_is_refused(faulty):
    with reference.draft(f"{faulty}/data", "shards") as draft:
        (draft.folder / "a").write_bytes(b"1234")
        made = draft.commit({}, {})
    storage.remove_folder(made)
    storage.write_bytes(f"{made}/a", b"other")
    with reference.draft(f"{faulty}/data", "shards") as draft:
        (draft.folder / "a").write_bytes(b"1234")
        with pytest.raises(Conflict, match="exists with other bytes"):
            draft.commit({}, {})


@pytest.mark.parametrize("data", [b"", b"1", LARGE[: gcs_ranges.PIECE], LARGE[: gcs_ranges.PIECE + 1], LARGE])
def test_objects_of_every_size_come_back(faulty, data):
    storage.write_bytes(f"{faulty}/ä b/c?#%.bin", data)
    assert holds(f"{faulty}/ä b/c?#%.bin", data) and storage.size(f"{faulty}/ä b/c?#%.bin") == len(data)


def written(folder: Path, data: bytes) -> Path:
    (folder / "source").write_bytes(data)
    return folder / "source"
