# SPDX-License-Identifier: GPL-2.0-only
"""A guest whose process 1 is systemd: install, start, kill, reload, stop, uninstall, as guest/systemd_steps.py has them."""
from . import CACHE, guest_module, images, kernels, machine, session

DEFAULT_KERNEL = "6.12"
POWERED_OFF = "reboot: Power down"


def steps() -> list[str]:
    """What the guest has to answer for, by name."""
    return guest_module("systemd_steps").names()


def _say(kernel: str):
    def progress(answer):
        if "case" in answer:
            note = f"  {answer['note']}" if answer["note"] else ""
            print(f"{kernel}: {answer['result']} {answer['case']} {answer['seconds']:.1f} s{note}", flush=True)
    return progress


def run(kernel: kernels.Kernel) -> bool:
    """Boots systemd on that kernel and says what came of each step. True: nothing is wrong."""
    guest = machine.Guest(f"systemd-{kernel.name}", kernels.fetch(kernel), CACHE / "guests", disks=(images.build(cases=False),),
                          start="/guest/systemd", append="systemd.show_status=false")
    account = session.Run(kernels.Kernel(kernel.name, kernel.package), listed=steps())
    session.attend(account, guest, _say(kernel.name))
    if account.ended and POWERED_OFF not in "\n".join(guest.log()[-20:]):
        account.faults.append("systemd did not switch the guest off; the end of its console:\n  " +
                              "\n  ".join(guest.log()[-20:]))
    for fault in account.faults:
        print(f"FAULT systemd on {kernel.name}: {fault}", flush=True)
    if account.faults:
        print(f"console: {guest.console}", flush=True)
    passed = len(account.of("passed"))
    print(f"systemd on {kernel.name}: {passed} steps passed, {len(account.listed) - passed} failed; "
          f"{account.seconds:.0f} s here, {account.guest_seconds:.0f} s there", flush=True)
    return not account.faults
