//! Filters of system calls (seccomp(2)).

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::ThreadKind;
use super::system_calls::{self, Allowed, Condition};

/// What happens when a thread makes a system call that its kind may not make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SeccompMode {
    /// The process ends, with a line on stderr that names call and thread.
    Enforce,
    /// The kernel logs it (audit, `journalctl -k`), and makes the call.
    Log,
    /// There is no filter.
    Off,
}

impl SeccompMode {
    const fn action(self) -> SeccompAction {
        match self {
            Self::Enforce => SeccompAction::Trap,
            Self::Log => SeccompAction::Log,
            Self::Off => SeccompAction::Allow,
        }
    }
}

/// Installs the filter of `kind` in the calling thread.
pub(super) fn install(kind: ThreadKind, mode: SeccompMode) -> io::Result<()> {
    if mode == SeccompMode::Off {
        return Ok(());
    }
    if kind == ThreadKind::Control {
        seccompiler::apply_filter(&without_clone3()?).map_err(io::Error::other)?;
    }
    seccompiler::apply_filter(&filter(kind, mode)?).map_err(io::Error::other)
}

/// The C library creates threads with clone(2), whose flags are arguments, where clone3(2) is missing.
fn without_clone3() -> io::Result<BpfProgram> {
    let errno = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    compile(rules, SeccompAction::Allow, errno)
}

fn filter(kind: ThreadKind, mode: SeccompMode) -> io::Result<BpfProgram> {
    let mut rules = BTreeMap::<i64, Vec<SeccompRule>>::new();
    let mut unconditional = Vec::new();
    for Allowed { call, when, .. } in system_calls::of(kind) {
        let of_call = rules.entry(*call).or_default();
        if when.is_empty() {
            unconditional.push(*call);
        } else {
            of_call.push(rule(when)?);
        }
    }
    // A call without rules is allowed whatever its arguments are.
    for call in unconditional {
        rules.insert(call, Vec::new());
    }
    compile(rules, mode.action(), SeccompAction::Allow)
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    others: SeccompAction,
    listed: SeccompAction,
) -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, others, listed, arch).map_err(io::Error::other)?;
    BpfProgram::try_from(filter).map_err(io::Error::other)
}

/// All conditions hold.
fn rule(when: &[Condition]) -> io::Result<SeccompRule> {
    let conditions = when.iter().map(|&Condition { argument, mask, value }| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
    });
    let conditions = conditions.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    SeccompRule::new(conditions).map_err(io::Error::other)
}
