"""The checker that is shipped with evidence: Ed25519 by RFC 8032, the tree by RFC 6962, and nothing but the library."""

from __future__ import annotations

import ast
import sys
from hashlib import sha256, sha512
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from coa.evidence import coa_verify_evidence as checker
from coa.evidence.coa_verify_evidence import L, Tree, climb, leaf_hash, node_hash, signature_is_valid

# RFC 8032, 7.1: public key, message, signature; all five.
VECTORS = {
    "TEST 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b"
        "be24655141438e7a100b",
    ),
    "TEST 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb430"
        "2aeeb00d291612bb0c00",
    ),
    "TEST 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716e"
        "d28dc027beceea1ec40a",
    ),
    "TEST 1024": (
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1e355f6c50544"
        "e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d658675fc6ea534e0810a4432"
        "826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b199ee5d02e82d522c4feba15"
        "452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e06203b33890cc9b832f79ef80560ccb9a39ce767967ed628"
        "c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83"
        "f4a41da4af2b74ef5c53f1d8ac70bdcb7ed185ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70e"
        "b6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf"
        "2b13fd65f27088d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089b"
        "eccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128bab27af87a7131"
        "4f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969be3ea7082ff7fc9888c144da2"
        "af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb751fb73e666c6c655ade8297297d07ad1ba5e"
        "43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb"
        "3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34dff7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a"
        "7e08d78ff4ef5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276c"
        "d419c17a3ca8e1b939ae49e488acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308a"
        "a342721aac0943bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f"
        "b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f1610e4eafe595f6"
        "d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380db2eaaa707b4c4185c32eddcd"
        "d306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8cac60c905c15fc910840b94c00a0b9d0",
        "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e"
        "30a6ac00a9704a188a03",
    ),
    "TEST SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138a"
        "c17ad9bef1177331a704",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_rfc_8032_are_valid(name: str) -> None:
    key, message, signature = map(bytes.fromhex, VECTORS[name])
    assert signature_is_valid(key, message, signature)


@pytest.mark.parametrize("name", VECTORS)
def test_no_other_message_key_or_signature_is_valid(name: str) -> None:
    key, message, signature = map(bytes.fromhex, VECTORS[name])
    assert not signature_is_valid(key, message + b"\x00", signature)
    for byte in range(64):
        changed = bytes(b ^ (n == byte) for n, b in enumerate(signature))
        assert not signature_is_valid(key, message, changed)
    for byte in range(32):
        assert not signature_is_valid(bytes(b ^ (n == byte) for n, b in enumerate(key)), message, signature)


def test_a_signature_has_one_form_only() -> None:
    """The group's order added to the scalar gives the same point; RFC 8032 has it refused."""
    key, message, signature = map(bytes.fromhex, VECTORS["TEST 2"])
    scalar = int.from_bytes(signature[32:], "little") + L
    assert not signature_is_valid(key, message, signature[:32] + scalar.to_bytes(32, "little"))
    assert not signature_is_valid(key, message, signature + b"\x00")
    assert not signature_is_valid(key[:31], message, signature)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_what_another_implementation_signs_is_valid_until_a_bit_changes(
    seed: bytes, message: bytes, bit: int
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert signature_is_valid(key, message, signature)
    changed = (int.from_bytes(signature, "little") ^ (1 << bit)).to_bytes(64, "little")
    assert not signature_is_valid(key, message, changed)


# Leaves and the roots over the first 1, 2, ... of them, as the tests of Certificate Transparency have them.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_tree_is_that_of_rfc_6962(size: int) -> None:
    tree = Tree()
    for leaf in LEAVES[:size]:
        tree.add(bytes.fromhex(leaf))
    assert tree.root().hex() == ROOTS[size - 1]


def defined(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word: split at the largest power of two that is smaller."""
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(defined(leaves[:split]), defined(leaves[split:]))


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=70), st.data())
def test_each_leaf_s_path_leads_to_the_root_and_no_other_leaf_s_does(
    leaves: list[bytes], data: st.DataObject
) -> None:
    followed = data.draw(st.integers(0, len(leaves) - 1))
    tree = Tree(followed)
    for leaf in leaves:
        tree.add(leaf)
    root = tree.root()
    assert root == defined(leaves)
    assert climb(leaf_hash(leaves[followed]), tree.path) == root
    assert climb(leaf_hash(leaves[followed] + b"x"), tree.path) != root
    assert len(tree.path) <= max(1, (len(leaves) - 1).bit_length())


def test_the_checker_needs_nothing_but_the_standard_library() -> None:
    """It is copied to machines that have Python and no more."""
    tree = ast.parse(Path(str(checker.__file__)).read_text("utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= set(sys.stdlib_module_names)


def test_values_are_hashed_as_a_list_and_of_an_earlier_bundle_with_their_names() -> None:
    salt, values = bytes(16), {"Name": 'a "b"\n', "Size": None}
    head = salt + b"plan\x00"
    assert checker.value_hash(salt, "plan", values) == sha256(head + b'["a \\"b\\"\\n",null]').hexdigest()
    earlier = sha256(head + b'{"Name":"a \\"b\\"\\n","Size":null}').hexdigest()
    assert checker.value_hash(salt, "plan", values, checker.EARLIER) == earlier


def test_a_file_is_found_by_its_bytes_and_another_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carried, other = tmp_path / "Offer.pdf", tmp_path / "Other.pdf"
    carried.write_bytes(b"offer")
    other.write_bytes(b"another offer")
    row = ("ContentVersion", "0681", "0682", "5", sha256(b"offer").hexdigest(), "equal")
    lines = ("\t".join(cells) for cells in (checker.FILE_COLUMNS, row))
    bundle = tmp_path / checker.FOLDER
    bundle.mkdir()
    (bundle / checker.FILES).write_text("\n".join(lines) + "\n", "utf-8")
    check = checker.Check(tmp_path)

    check.find_file(carried)
    assert "ContentVersion 0681 -> 0682, proved equal" in capsys.readouterr().out
    assert check.faults == []

    check.find_file(other)
    assert [name for name, _ in check.faults] == ["Other.pdf"]
