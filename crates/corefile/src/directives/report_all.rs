//! All errors of a directive: validated again without what is wrong.

use crate::error::{Cause, ConfigError};
use crate::error_list::ErrorList;
use crate::tree::Directive;

/// Validates a directive. What is wrong is added to `errors`, and the directive is validated again
/// without that option or argument. Errors that follow from its absence are not reported.
pub(super) fn report_all(
    directive: &Directive,
    errors: &mut ErrorList,
    mut validate: impl FnMut(&Directive) -> Result<(), ConfigError>,
) {
    let Err(mut error) = validate(directive) else { return };
    let mut rest = directive.clone();
    loop {
        errors.push(error.clone().in_directive(&directive.name().text));
        let Some(removed) = remove(&mut rest, &error).filter(|_| !errors.is_full()) else { return };
        match validate(&rest) {
            Err(next) if !follows(&rest, removed, &error, &next) => error = next,
            _ => return,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Removed {
    Option,
    Argument,
}

/// Removes the option, or the argument of the directive, that an error is about.
fn remove(directive: &mut Directive, error: &ConfigError) -> Option<Removed> {
    let order = error.order();
    if let Some(index) = directive.options.iter().rposition(|option| option.name.order <= order) {
        directive.options.remove(index);
        return Some(Removed::Option);
    }
    let index = directive.line.args.iter().position(|argument| argument.order == order)?;
    directive.line.args.remove(index);
    Some(Removed::Argument)
}

/// True if `next` may be due to the removal after `error`.
fn follows(rest: &Directive, removed: Removed, error: &ConfigError, next: &ConfigError) -> bool {
    if next.cause() == Cause::Combination {
        return true;
    }
    let is_in_line = rest.options.first().is_none_or(|option| next.order() < option.name.order);
    let is_argument_count = next.cause() == Cause::ArgumentCount;
    removed == Removed::Argument && is_in_line && (is_argument_count || next.order() < error.order())
}
