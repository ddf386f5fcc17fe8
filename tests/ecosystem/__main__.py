"""``make test-clients``: other people's clients against a real server. See README.md here."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from families import FAMILIES, Family
from installing import InstallError, install, installed
from running import Result, run
from serving import build, serving


def main() -> int:
    """Exit status 0 when every check of every family passed. The last line says how many did."""
    parser = argparse.ArgumentParser(prog="make test-clients", description=__doc__)
    names = [family.name for family in FAMILIES]
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(names)}")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--install-only", action="store_true", help="needs the internet")
    part.add_argument("--run-only", action="store_true", help="needs no internet")
    parser.add_argument("--verbose", action="store_true", help="show what the scripts print")
    parser.add_argument(
        "--patience", type=float, default=1.0, metavar="N",
        help="times the limits of time, for a machine that is busy",
    )  # fmt: skip
    options = parser.parse_args()
    unknown = sorted(set(options.families) - set(names))
    if unknown:
        parser.error(f"no such family: {', '.join(unknown)}; there are {', '.join(names)}")
    wanted = [f for f in FAMILIES if f.name in (options.families or names)]
    reasons = {} if options.run_only else _install(wanted)
    if options.install_only:
        build()
        return 1 if reasons else 0
    for family in wanted:
        if family.name not in reasons and not installed(family):
            reasons[family.name] = "not installed in this version; run without --run-only"
    results = {name: Result(failed={"install": why}) for name, why in reasons.items()}
    with tempfile.TemporaryDirectory(prefix="gemma4-clients-") as folder:
        with serving(build(), Path(folder)) as gateways:
            for family in wanted:
                if family.name not in results:
                    url = (gateways.lenient if family.drop_unsupported else gateways.plain).url
                    results[family.name] = run(family, url, options.patience)
                _show(family, results[family.name], options.verbose)
        logs = "".join(log.read_text() for log in Path(folder).glob("*.log"))
    faults = logs.count("Traceback")
    if faults:
        print(f"The gateway's log has {faults} tracebacks:\n{logs[-4000:]}")
    return _table(wanted, results) or (1 if faults else 0)


def _install(wanted: list[Family]) -> dict[str, str]:
    """Why families could not be installed, by their names."""
    reasons = {}
    for family in wanted:
        if not installed(family):
            print(f"installing {', '.join(family.packages)}", flush=True)
        try:
            install(family)
        except InstallError as error:
            reasons[family.name] = str(error)
            print(f"FAILED {family.name}: {error}", flush=True)
    return reasons


def _show(family: Family, result: Result, verbose: bool) -> None:
    of = f"{len(result.passed)} of {len(family.checks)}"
    print(f"{family.name}: {of} passed, {result.seconds:.0f} s", flush=True)
    for name, why in result.failed.items():
        print(f"FAILED {family.name}: {name}: {why}", flush=True)
    if verbose or result.failed:
        print(result.more[-6000:], flush=True)


def _table(wanted: list[Family], results: dict[str, Result]) -> int:
    print(f"\n{'client':40} {'passed':>9} {'seconds':>8}")
    for family in wanted:
        result = results[family.name]
        client = " ".join(next(iter(family.versions.items()), (family.name, "of this machine")))
        of = f"{len(result.passed)} of {len(family.checks)}"
        print(f"{client:40} {of:>9} {result.seconds:8.1f}")
    passed = sum(len(result.passed) for result in results.values())
    failed = sum(len(result.failed) for result in results.values())
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
