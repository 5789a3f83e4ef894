"""Real resolvers query the daemon for every type whose RDATA has names, which the upstream sends
compressed, and for other types. Usage: resolvers.py DAEMON GLIBC_PROGRAM GO_PROGRAM"""

import pathlib
import socket
import subprocess
import sys

import dns.message
import pycares

import messages

HERE = pathlib.Path(__file__).parent
# Also the hash that the owner of an NSEC3 record must be.
NAME = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.types.test"
failures = []


def report(resolver, count, failed):
    print(f"{resolver}: {count - len(failed)} of {count} types read" + "".join(f"\n    {line}" for line in failed))
    failures.extend(failed)


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = result.stdout.splitlines()
    return lines or ([f"exit status {result.returncode}: {result.stderr}"] if result.returncode else [])


def with_dig(daemon):
    failed = []
    for mnemonic, number in messages.NUMBERS.items():
        result = subprocess.run(
            ["dig", f"@{daemon}", "+tries=1", "+nocookie", NAME, f"TYPE{number}"],
            capture_output=True, text=True, timeout=20,
        )
        output = result.stdout + result.stderr
        if "status: NOERROR" not in output or "ANSWER: 0" in output or "bad packet" in output or "WARNING" in output:
            failed.append(f"{mnemonic}: {output}")
    report("dig", len(messages.NUMBERS), failed)


def with_pycares(daemon):
    failed, types = [], [name for name in dir(pycares) if name.startswith("QUERY_TYPE_") and not name.endswith("_ANY")]
    channel = pycares.Channel(servers=[daemon], timeout=5, tries=1)
    for rtype in types:
        results = []
        channel.query(NAME, getattr(pycares, rtype), callback=lambda *result: results.append(result))
        channel.wait()
        value, error = results[0]
        if error is not None:
            failed.append(f"{rtype}: {pycares.errno.strerror(error)}")
    report(f"pycares {pycares.__version__}, c-ares {pycares.ARES_VERSION}", len(types), failed)


def with_names_in_full(daemon):
    """Each name is QNAME, and a pointer only in types of RFC 1035."""
    failed, qname = [], messages.name(NAME)
    for (mnemonic, number), rdata in messages.NAMES.items():
        octets = response(daemon, number)
        in_full = rdata.replace(messages.POINTER_TO_QNAME, qname)
        if mnemonic not in messages.RFC_1035 and in_full not in octets:
            failed.append(f"{mnemonic}: {octets.hex()}")
    report("in full", len(messages.NAMES), failed)


def response(daemon, number):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(dns.message.make_query(NAME, number).to_wire(), (daemon, 53))
        return client.recv(65535)


def main(daemon, glibc, go):
    with_pycares(daemon)
    (version,) = run("node", "-p", "`Node.js ${process.version}, c-ares ${process.versions.ares}`")
    report(version, 11, run("node", str(HERE / "lookup.mjs"), daemon, NAME))
    report("Go", 7, run(go, daemon, NAME))
    numbers = messages.NUMBERS.values()
    report("glibc", len(numbers), run(glibc, daemon, NAME, *map(str, numbers)))
    with_dig(daemon)
    with_names_in_full(daemon)
    print(f"resolvers: {len(failures)} types not read")
    return bool(failures)


sys.exit(main(*sys.argv[1:]))
