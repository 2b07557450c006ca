"""What no detector and no weights may cause, and the guard that notes it."""

import os
import sys

# Events of Python's audit hooks that none of them may cause. (Network: sockets are all that there is to it.)
FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn",
    "socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request",
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "shutil.rmtree", "shutil.copyfile", "shutil.move", "tempfile.mkstemp", "tempfile.mkdtemp", "pickle.find_class",
    "ctypes.dlopen", "webbrowser.open", "os.putenv", "sys.setprofile", "sys.settrace",
)  # fmt: skip


MEMORY = 12 * 2**30  # bytes of addresses, beside which TensorFlow alone takes some


CANARY = "canary"  # in the names of files that nobody may open


PATH = f"/tmp/{CANARY}-of-fsad"


def guard(events):
    """From here on what is forbidden raises an error and is noted in ``events``."""

    def hook(name, arguments):
        bad = name in FORBIDDEN
        if name == "open":
            path, mode, flags = arguments
            writes = (flags or 0) & (os.O_WRONLY | os.O_RDWR) or (isinstance(mode, str) and set(mode) & set("wax+"))
            named = isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path)
            # A device to throw away to, and temporary files without a name, harm nobody.
            bad = (bool(writes) and named not in ("/dev/null",)) or (named and CANARY in named)
        if bad:
            events.append(f"{name} {str(arguments)[:120]}")
            raise PermissionError(f"forbidden: {name}")

    sys.addaudithook(hook)
