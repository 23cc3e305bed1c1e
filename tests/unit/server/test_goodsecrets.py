"""The last good form of a Secret that turned unusable: when there is one, and that a restart keeps it."""

from pathlib import Path

import pytest
from cryptography import x509

from lateen.api.meta import Key, ObjectMeta
from lateen.api.objects import Secret
from lateen.server.goodsecrets import GoodSecrets
from lateen.testing.certificates import self_signed
from lateen.util import redact

KEY = Key("Secret", "default", "web")
CHAIN, PRIVATE = self_signed(x509.DNSName("web"))[1:]
FOREIGN = self_signed(x509.DNSName("web"))[2]


def secret(key: bytes, *, uid: str = "u", chain: bytes = CHAIN) -> Secret:
    """The Secret `web`."""
    data = {"tls.crt": redact.Secret(chain), "tls.key": redact.Secret(key)}
    return Secret(metadata=ObjectMeta(name="web", namespace="default", uid=uid), data=data)


GOOD, BAD, OTHER = secret(PRIVATE), secret(FOREIGN), secret(b"", chain=b"")


class Run:
    """One run of a control plane: what it falls back on."""

    def __init__(self, folder: Path) -> None:
        self.forms: dict[Key, Secret] = {}
        self.kept = GoodSecrets(folder / "secrets.json", self._stage)
        self.kept.load()

    def _stage(self, key: Key, form: Secret | None) -> None:
        if form is None:
            self.forms.pop(key, None)
        else:
            self.forms[key] = form

    def after(self, *forms: Secret | None) -> Secret | None:
        """What is used beside the last of these forms, told one after the other."""
        for form in forms:
            self.kept.take(KEY, form)
        return self.forms.get(KEY)


@pytest.mark.parametrize(
    ("forms", "used"),
    [
        ((GOOD,), None),
        ((BAD,), None),
        ((GOOD, BAD), GOOD),
        ((GOOD, OTHER), GOOD),
        ((GOOD, BAD, OTHER), GOOD),
        ((GOOD, BAD, GOOD), None),
        ((GOOD, BAD, None), None),
        ((GOOD, None, BAD), None),
        ((GOOD, BAD, secret(FOREIGN, uid="another")), None),
    ],
    ids=["good", "never good", "spoilt", "emptied", "spoilt twice", "repaired", "deleted", "made anew", "another of its name"],
)
def test_a_spoilt_secret_has_its_last_good_form(tmp_path: Path, forms: tuple[Secret | None, ...], used: Secret | None) -> None:
    """As long as it is the same Secret and of no use."""
    assert Run(tmp_path).after(*forms) == used


def test_a_restart_keeps_it(tmp_path: Path) -> None:
    """In a file for the owner alone, until the Secret is repaired; then no key is left in it."""
    Run(tmp_path).after(GOOD, BAD)
    file = tmp_path / "secrets.json"
    assert file.stat().st_mode & 0o777 == 0o600
    again = Run(tmp_path)
    found = again.after(BAD)
    assert found is not None
    assert found.data == GOOD.data
    assert PRIVATE.decode() not in repr(found)
    assert again.after(GOOD) is None
    assert file.read_bytes() == b"[]"
    assert Run(tmp_path).after(BAD) is None


def test_a_file_that_cannot_be_read_is_told_without_its_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a file: nothing is kept, the log names the file, and none of it."""
    (tmp_path / "secrets.json").write_text('[{"key": "MIIEvQIBADAN')
    assert Run(tmp_path).after(BAD) is None
    told = capsys.readouterr()
    assert "MIIE" not in told.out + told.err
