//! The way of a packet through the rules of a base chain.

use super::condition::Condition;
use super::packet::Direction;
use super::rule::{Action, EvaluatedRule};
use super::verdict::Verdict;

/// Jumps within each other; the kernel allows 16.
const MAX_DEPTH: u32 = 16;
/// Comment of Calico's rule for packets of pods to their node. The rules before it depend on the
/// interface of the pod.
const CALICO_PODS_TO_NODE: &str = "DefaultEndpointToHostAction";

/// What happens to a packet.
enum Outcome {
    Accepted,
    /// By this rule or policy.
    Dropped(String),
}

struct Walk<'a> {
    rules: &'a [EvaluatedRule],
    packet: usize,
    /// A rule whose conditions are not known may have accepted the packet.
    may_be_accepted: bool,
}

/// What a base chain does with the packet of this number.
pub(super) fn verdict(rules: &[EvaluatedRule], packet: usize, chain: &str, accepts: bool) -> Verdict {
    let mut walk = Walk { rules, packet, may_be_accepted: false };
    let policy = || if accepts { Outcome::Accepted } else { Outcome::Dropped("its policy".to_owned()) };
    match walk.through(chain, 0).unwrap_or_else(policy) {
        Outcome::Accepted => Verdict::Accepts,
        Outcome::Dropped(by) if walk.may_be_accepted => Verdict::MayDrop { by },
        Outcome::Dropped(by) => Verdict::Drops { by },
    }
}

/// The verdict on queries if Calico may drop those that the chain accepts.
pub(super) fn with_pods_to_node(verdict: Verdict, rules: &[EvaluatedRule], direction: Direction) -> Verdict {
    let is_accepted = direction == Direction::Queries && verdict == Verdict::Accepts;
    let calico = rules.iter().filter(|_| is_accepted).find(|rule| is_pods_to_node(rule));
    calico.map_or(verdict, |rule| Verdict::MayDrop { by: description(rule) })
}

impl Walk<'_> {
    /// The outcome in a chain, unless it returns.
    fn through(&mut self, chain: &str, depth: u32) -> Option<Outcome> {
        if depth > MAX_DEPTH {
            self.may_be_accepted = true;
            return None;
        }
        let rules = self.rules;
        for rule in rules.iter().filter(|rule| rule.chain == chain) {
            let condition = rule.conditions.get(self.packet).copied().unwrap_or(Condition::Unknown);
            match (condition, &rule.action) {
                (Condition::Unmet, _) | (Condition::Unknown, Action::Drop) => {}
                (Condition::Met, Action::Accept) => return Some(Outcome::Accepted),
                (Condition::Met, Action::Drop) => return Some(Outcome::Dropped(description(rule))),
                (Condition::Met, Action::Return) => return None,
                (Condition::Met, Action::Goto(target)) => return self.through(target, depth + 1),
                (Condition::Met, Action::Jump(target)) => {
                    if let Some(outcome) = self.through(target, depth + 1) {
                        return Some(outcome);
                    }
                }
                (Condition::Unknown, Action::Jump(target) | Action::Goto(target)) => {
                    let outcome = self.through(target, depth + 1);
                    self.may_be_accepted |= matches!(outcome, Some(Outcome::Accepted));
                }
                (Condition::Unknown, Action::Accept | Action::Return) | (_, Action::Unknown) => {
                    self.may_be_accepted = true;
                }
            }
        }
        None
    }
}

fn is_pods_to_node(rule: &EvaluatedRule) -> bool {
    rule.action == Action::Drop
        && rule.comment.as_ref().is_some_and(|comment| comment.contains(CALICO_PODS_TO_NODE))
}

fn description(rule: &EvaluatedRule) -> String {
    let EvaluatedRule { chain, handle, comment, .. } = rule;
    match comment {
        Some(comment) => format!("rule {handle} of {chain} ({comment})"),
        None => format!("rule {handle} of {chain}"),
    }
}
