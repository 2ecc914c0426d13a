"""Authorities, certificates and keys for a test, made by openssl(1) in a folder of its own."""
import os
import shutil
import subprocess

OPENSSL = shutil.which("openssl")


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.ca = os.path.join(folder, name + ".pem")
        self.key = os.path.join(folder, name + "-key.pem")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                      self.key, "-out", self.ca, "-days", "2", "-subj", "/CN=" + name)

    def _openssl(self, *args):
        subprocess.run([OPENSSL, *args], check=True, capture_output=True, timeout=60)

    def issue(self, name, days=2):
        """The paths of a certificate for 127.0.0.1 and of its key; the same name again replaces both."""
        cert, key, request, extensions = (os.path.join(self.folder, name + end)
                                          for end in (".pem", "-key.pem", ".csr", ".ext"))
        with open(extensions, "w") as out:
            out.write("subjectAltName = IP:127.0.0.1, DNS:localhost\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                      request, "-subj", "/CN=" + name)
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial", "-days",
                      str(days), "-extfile", extensions, "-out", cert)
        os.chmod(key, 0o600)
        return cert, key


def read(path):
    with open(path, "rb") as f:
        return f.read()
