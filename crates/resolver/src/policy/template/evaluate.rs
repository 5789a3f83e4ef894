//! Evaluation of record templates: a syntax tree and a query to a line of a zone file.

use std::cmp::Ordering;

use super::ast::{Base, Command, Function, Node, Operand, Pipeline, Target};
use super::error::EvaluateError;
use super::format::{self, MAX_OUTPUT};
use super::value::{TemplateData, Value};

/// Maximum number of nodes and operands evaluated for one record, those of loops included.
const MAX_STEPS: usize = 10_000;

/// Evaluates a template.
///
/// # Errors
/// What a template does that fails, or a limit of its length or its steps.
pub(super) fn evaluate(nodes: &[Node], data: &TemplateData<'_>) -> Result<String, EvaluateError> {
    let mut evaluation =
        Evaluation { data, dot: Value::Query, variables: Vec::new(), out: String::new(), steps: 0 };
    evaluation.nodes(nodes)?;
    Ok(evaluation.out)
}

struct Evaluation<'d> {
    data: &'d TemplateData<'d>,
    dot: Value<'d>,
    variables: Vec<Value<'d>>,
    out: String,
    steps: usize,
}

impl<'d> Evaluation<'d> {
    fn step(&mut self) -> Result<(), EvaluateError> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(EvaluateError("more than 10,000 steps"));
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node]) -> Result<(), EvaluateError> {
        nodes.iter().try_for_each(|node| self.node(node))
    }

    /// Nodes with a scope of their own.
    fn block(&mut self, nodes: &[Node]) -> Result<(), EvaluateError> {
        let scope = self.variables.len();
        self.nodes(nodes)?;
        self.variables.truncate(scope);
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<(), EvaluateError> {
        self.step()?;
        match node {
            Node::Text(text) => self.push(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline)?;
                if pipeline.target.is_some() { Ok(()) } else { self.push(&value.display()?) }
            }
            Node::If { condition, then, otherwise } => {
                let scope = self.variables.len();
                let is_true = self.pipeline(condition)?.is_true(self.data);
                self.block(if is_true { then } else { otherwise })?;
                self.variables.truncate(scope);
                Ok(())
            }
            Node::Range { over, variables, body, otherwise } => {
                let value = self.pipeline(over)?;
                self.range(&value, *variables, (body, otherwise))
            }
        }
    }

    fn range(
        &mut self,
        value: &Value<'d>,
        variables: usize,
        (body, otherwise): (&[Node], &[Node]),
    ) -> Result<(), EvaluateError> {
        let mut is_empty = true;
        for (key, element) in value.elements(self.data)? {
            is_empty = false;
            self.step()?;
            let scope = self.variables.len();
            match variables {
                0 => {}
                1 => self.variables.push(element.clone()),
                _ => self.variables.extend([key, element.clone()]),
            }
            let outer = std::mem::replace(&mut self.dot, element);
            self.nodes(body)?;
            self.dot = outer;
            self.variables.truncate(scope);
        }
        if is_empty { self.block(otherwise) } else { Ok(()) }
    }

    fn push(&mut self, text: &str) -> Result<(), EvaluateError> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return Err(EvaluateError("the text is too long"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<Value<'d>, EvaluateError> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, value)?);
        }
        let value = value.unwrap_or(Value::Missing);
        match pipeline.target {
            None => {}
            Some(Target::New) => self.variables.push(value.clone()),
            Some(Target::Existing(slot)) => {
                if let Some(variable) = self.variables.get_mut(slot) {
                    *variable = value.clone();
                }
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &Command, piped: Option<Value<'d>>) -> Result<Value<'d>, EvaluateError> {
        let (function, operands) = match command {
            Command::Value(operand) => return self.operand(operand),
            Command::Call { function, arguments } => (*function, arguments),
        };
        if let Function::And | Function::Or = function {
            return self.first_decisive(function == Function::Or, operands, piped);
        }
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            arguments.push(self.operand(operand)?);
        }
        arguments.extend(piped);
        call(function, &arguments, self.data)
    }

    /// `and`, `or`: the first argument that decides, or the last.
    fn first_decisive(
        &mut self,
        decisive: bool,
        operands: &[Operand],
        piped: Option<Value<'d>>,
    ) -> Result<Value<'d>, EvaluateError> {
        let mut last = Value::Missing;
        for operand in operands {
            last = self.operand(operand)?;
            if last.is_true(self.data) == decisive {
                return Ok(last);
            }
        }
        Ok(piped.unwrap_or(last))
    }

    fn operand(&mut self, operand: &Operand) -> Result<Value<'d>, EvaluateError> {
        self.step()?;
        let mut value = match &operand.base {
            Base::Dot => self.dot.clone(),
            Base::Root => Value::Query,
            Base::Variable(slot) => self.variables.get(*slot).cloned().unwrap_or(Value::Missing),
            Base::Text(text) => Value::text(text.to_string()),
            Base::Integer(number) => Value::Integer(*number),
            Base::Bool(bool) => Value::Bool(*bool),
            Base::Metadata => Value::text(""),
            Base::Nested(pipeline) => self.pipeline(pipeline)?,
        };
        for field in &operand.fields {
            value = value.field(field, self.data)?;
        }
        Ok(value)
    }
}

/// Calls a function. The parser has checked the number of arguments.
fn call<'d>(
    function: Function,
    arguments: &[Value<'d>],
    data: &'d TemplateData<'d>,
) -> Result<Value<'d>, EvaluateError> {
    let [first, rest @ ..] = arguments else {
        return format::print(arguments, function == Function::Println).map(Value::text);
    };
    Ok(match function {
        Function::Not => Value::Bool(!first.is_true(data)),
        Function::Eq => Value::Bool(equals_any(first, rest)?),
        Function::Ne => Value::Bool(!equals_any(first, rest)?),
        Function::Lt => Value::Bool(order(first, rest)? == Ordering::Less),
        Function::Le => Value::Bool(order(first, rest)? != Ordering::Greater),
        Function::Gt => Value::Bool(order(first, rest)? == Ordering::Greater),
        Function::Ge => Value::Bool(order(first, rest)? != Ordering::Less),
        Function::Index => {
            let mut value = first.clone();
            for index in rest {
                value = value.index(index, data)?;
            }
            value
        }
        Function::Len => Value::Integer(i128::try_from(first.len(data)?).unwrap_or(0)),
        Function::Printf => match first {
            Value::Text(format) => Value::text(format::printf(format, rest)?),
            _ => return Err(EvaluateError("printf: the format is no text")),
        },
        Function::ParseInt => parse_int(first, rest)?,
        Function::Print | Function::Println => {
            Value::text(format::print(arguments, function == Function::Println)?)
        }
        Function::And | Function::Or => return Err(EvaluateError("and, or: evaluated out of order")),
    })
}

fn equals_any(value: &Value<'_>, others: &[Value<'_>]) -> Result<bool, EvaluateError> {
    for other in others {
        let is_comparable = matches!(
            (value, other),
            (Value::Missing, _)
                | (_, Value::Missing)
                | (Value::Bool(_), Value::Bool(_))
                | (Value::Integer(_), Value::Integer(_))
                | (Value::Text(_), Value::Text(_))
        );
        if !is_comparable {
            return Err(EvaluateError("incompatible types for comparison"));
        }
        if value == other {
            return Ok(true);
        }
    }
    Ok(false)
}

fn order(value: &Value<'_>, others: &[Value<'_>]) -> Result<Ordering, EvaluateError> {
    match (value, others) {
        (Value::Integer(value), [Value::Integer(other)]) => Ok(value.cmp(other)),
        (Value::Text(value), [Value::Text(other)]) => Ok(value.cmp(other)),
        _ => Err(EvaluateError("incompatible types for comparison")),
    }
}

/// `parseInt TEXT BASE BITS`, Go's `strconv.ParseUint`.
fn parse_int<'d>(text: &Value<'_>, rest: &[Value<'_>]) -> Result<Value<'d>, EvaluateError> {
    let (Value::Text(text), [Value::Integer(base), Value::Integer(bits)]) = (text, rest) else {
        return Err(EvaluateError("parseInt: wanted a text, a base and a size in bits"));
    };
    let base = u32::try_from(*base).ok().filter(|base| (2..=36).contains(base));
    let base = base.ok_or(EvaluateError("parseInt: invalid base"))?;
    let bits = match *bits {
        0 => 64,
        bits @ 1..=64 => bits,
        _ => return Err(EvaluateError("parseInt: invalid bit size")),
    };
    // `from_str_radix` accepts a sign, Go's function does not.
    let digits = Some(&**text).filter(|text| text.bytes().all(|octet| octet.is_ascii_alphanumeric()));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, base).ok());
    let number = number.map(i128::from).filter(|number| *number < 1 << bits);
    number.map(Value::Integer).ok_or(EvaluateError("parseInt: invalid syntax or value out of range"))
}
