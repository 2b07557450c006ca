"""Serves detectors over HTTP, with one page to drop images on. Needs the extra: pip install 'fsad[serve]'

Other machines reach it only with --host, and then a token is required, which does not go on the command line: set
FSAD_TOKEN, or give a file. It speaks plain HTTP; put a proxy with TLS before it where the network is not trusted.
"""

import importlib.util
import ipaddress
import os
import sys
from pathlib import Path

from fsad.commands import arguments, shared

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EXTRA = "fsad serve needs FastAPI and uvicorn: pip install 'fsad[serve]'"


def add_arguments(parser):
    add = parser.add_argument
    add(
        "detectors",
        metavar="[NAME=]DETECTOR",
        nargs="+",
        help="folders of saved detectors, one a product; NAME is that of the folder unless given",
    )
    add(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen at (default: 127.0.0.1, this machine)"
    )
    add("--port", type=int, default=8000, metavar="N", help="port to listen at (default: 8000)")
    add(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a host name that it is reached by, as through a proxy; may be repeated",
    )
    add("--token_file", metavar="FILE", help="file with the token that requests must carry; FSAD_TOKEN serves as well")
    add("--learn", action="store_true", help="take corrections: false alarms and missed parts change the detector")
    add("--max_mb", type=arguments.positive, default=64, metavar="N", help="largest request in megabytes (default: 64)")
    add(
        "--rate", type=arguments.positive, default=50, metavar="N", help="requests a second of one client (default: 50)"
    )
    arguments.add_runtime(parser, None)


def run(options):
    given, token = named(options.detectors), _token(options)
    local = _is_loopback(options.host)
    hosts = (*LOOPBACK, options.host, *options.name) if local or options.name else None
    if not local and not token:
        raise ValueError(
            f"Expected a token to serve at {options.host}, where other machines reach it: set FSAD_TOKEN or give "
            "--token_file. Received: none"
        )
    try:
        import fastapi  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise RuntimeError(f"{EXTRA} ({error})") from error
    detectors = {name: shared.load(folder) for name, folder in given.items()}
    for name, detector in detectors.items():
        if importlib.util.find_spec("tensorflow") is None and (options.learn or detector.methods[0] != "patches"):
            raise RuntimeError(
                f"{name}: expected TensorFlow for --learn and for maps of the recipe {detector.recipe}. Received: none"
            )
    with shared.quiet():
        from fsad import serve
        from fsad.export import runtime

    def prepare(detector):
        if options.runtime is None:
            print(f"Runtime: {detector.runtime}", file=sys.stderr)
            return detector
        asked = options.runtime.replace("-", " ")
        choice = runtime.choose(detector, None if asked == "auto" else [asked])
        print(f"Runtime: {choice}", file=sys.stderr)
        return detector.with_runtime(choice)

    app = serve.app(
        detectors,
        token=token,
        learn=options.learn,
        max_bytes=options.max_mb * 2**20,
        rate=options.rate,
        hosts=hosts,
        prepare=prepare,
    )
    shown = f"[{options.host}]" if ":" in options.host else options.host
    print(f"Serving {', '.join(detectors)} at http://{shown}:{options.port}/ Ctrl-C stops.", file=sys.stderr)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", timeout_graceful_shutdown=10)
    return 0


def named(given):
    """Folders by name, from ``NAME=FOLDER`` and ``FOLDER``."""
    folders = {}
    for argument in given:
        name, equals, folder = argument.partition("=")
        if not equals or Path(argument).is_dir():
            name, folder = Path(argument).resolve().name, argument
        if name in folders:
            raise ValueError(
                f"Expected one detector named {name}; give NAME=DETECTOR. Received: {folders[name]}, {folder}"
            )
        folders[name] = folder
    return folders


def _token(options):
    if not options.token_file:
        return os.environ.get("FSAD_TOKEN", "").strip() or None
    token = Path(options.token_file).read_text(encoding="utf-8").strip()
    if not token:
        raise ValueError(f"{options.token_file}: expected a token. Received: an empty file")
    return token


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
