"""The list for Storage Transfer Service, and the names that the service and our downloader give to files."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import boxes, transfer_list

MD5 = "c04784d9ad15dfa88f600b0e6b624077"


def pictures(*rows: tuple[str, int, str]) -> object:
    plain = {"rotation": 0, "file": "", "width": 0, "height": 0, "split": "", "group": -1}
    given = ({"image_id": url, "url": url, "bytes": size, "md5": md5} | plain for url, size, md5 in rows)
    return boxes.rows(boxes.PICTURES, given)


def test_the_list_as_the_service_documents_it() -> None:
    made = transfer_list.render(pictures(("https://b/2.jpg", 2468, MD5), ("https://b/1.jpg", 1357, MD5)))
    text = base64.b64encode(bytes.fromhex(MD5)).decode()
    assert made == f"TsvHttpData-1.0\nhttps://b/1.jpg\t1357\t{text}\nhttps://b/2.jpg\t2468\t{text}\n"


def test_an_address_of_two_pictures_is_listed_once() -> None:
    made = transfer_list.render(pictures(("https://b/1.jpg", 1357, MD5), ("https://b/1.jpg", 2468, MD5)))
    assert made.count("https://b/1.jpg") == 1 and "1357" in made


def test_a_picture_without_size_or_md5_is_left_to_our_own_downloader() -> None:
    listed = transfer_list.render(
        pictures(("https://b/1.jpg", -1, MD5), ("https://b/2.jpg", 5, ""), ("https://b/3", 0, MD5))
    )
    assert [line.split("\t")[0] for line in listed.splitlines()] == ["TsvHttpData-1.0", "https://b/3"]


@given(st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x1F600, categories=["L", "N"])), max_size=12))
def test_addresses_stand_in_the_order_of_their_bytes(paths: list[str]) -> None:
    made = transfer_list.render(pictures(*((f"https://b/{path}", 1, MD5) for path in paths)))
    listed = [line.split("\t")[0].encode() for line in made.split("\n")[1:-1]]
    assert listed == sorted(set(listed)) and len(listed) == len(set(paths))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://c1.staticflickr.com/5/4129/a_o.jpg", "c1.staticflickr.com/5/4129/a_o.jpg"),
        ("http://Example.com:8080/a/b.jpg?size=big", "example.com/a/b.jpg"),
        ("https://example.com/a%20b.jpg", "example.com/a%20b.jpg"),
    ],
)
def test_a_file_is_called_by_host_and_path(url: str, name: str) -> None:
    assert transfer_list.object_name(url) == name


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "a.jpg",
            "ftp://h/a.jpg",
            "file:///etc/passwd",
            "https://h",
            "https://h/",
            "https:///a.jpg",
            "http://[/a",
        ),
        *("https://h/../../etc/passwd", "https://h/a/./b", "https://h/a//b", "https://h/.ssh", "https://h/a\\..\\b"),
        *("https://../boxes/abc/index.json", "https://.h/a", "https://./a", "https://h/\ud800"),
        *("https://h/a\x00b", "https://h/a\nb", f"https://h/{'a' * 256}", f"https://h{'/abc' * 256}", "https://h/a/"),
    ],
)
def test_an_address_that_would_lead_out_of_the_folder_has_no_name(url: str) -> None:
    assert transfer_list.object_name(url) == ""


_ODD = st.text("./\\:@[]%?#aA0\u2024\uff0e\u3002", max_size=8) | st.text(max_size=20)


@given(st.builds("{}://{}{}{}".format, st.sampled_from(["http", "https", "HTTPS"]), _ODD, st.sampled_from("/?#"), _ODD))
def test_no_name_ever_leaves_its_folder(url: str) -> None:
    parts = transfer_list.object_name(url).split("/")
    assert parts == [""] or len(parts) > 1 and all(part and not part.startswith(".") for part in parts)
