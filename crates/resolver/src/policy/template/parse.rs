//! Syntax of record templates: tokens to a syntax tree. What is not supported is rejected here, with
//! its position.

use std::vec::IntoIter;

use super::ast::{Base, Block, Command, Function, Node, Operand, Pipeline, Target};
use super::error::TemplateError;
use super::format;
use super::lex::{self, Piece, Token};
use super::tokens::Tokens;
use super::value::Kind;

/// Maximum depth of blocks and parentheses.
const MAX_DEPTH: usize = 32;

/// Parses a template.
///
/// # Errors
/// What is wrong or not supported, with its position.
pub(super) fn parse(template: &str) -> Result<Block, TemplateError> {
    let pieces = lex::split(template)?.into_iter();
    let mut parser = Parser { template, pieces, variables: Vec::new(), depth: 0, ranges: 0 };
    match parser.list()? {
        (nodes, Terminator::EndOfText) => Ok(nodes),
        (_, Terminator::End(at)) => Err(parser.error(at, "unexpected {{end}}")),
        (_, Terminator::Else(at, _)) => Err(parser.error(at, "unexpected {{else}}")),
    }
}

struct Parser<'t> {
    template: &'t str,
    pieces: IntoIter<Piece>,
    /// Names of the variables in scope, as on the stack of the evaluation.
    variables: Vec<String>,
    depth: usize,
    /// Blocks of `range` around, in which the dot is not the query.
    ranges: usize,
}

/// What ends a list of nodes.
enum Terminator {
    EndOfText,
    End(usize),
    /// `{{ else }}`, with the tokens of an `else if`.
    Else(usize, Tokens),
}

impl Parser<'_> {
    fn error(&self, at: usize, reason: impl Into<String>) -> TemplateError {
        TemplateError::at(self.template, at, reason)
    }

    /// The nodes up to an `end`, an `else` or the end of the template.
    fn list(&mut self) -> Result<(Block, Terminator), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let mut tokens = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.into()));
                    continue;
                }
                Piece::Action(at, lexemes) => Tokens::new(lexemes, at),
            };
            let at = tokens.action_position();
            let keyword = match tokens.peek() {
                Some(Token::Word(word)) => word.clone(),
                _ => String::new(),
            };
            match &*keyword {
                "if" | "range" => {
                    tokens.take();
                    nodes.push(self.nested(at, |parser| match &*keyword {
                        "if" => parser.condition(tokens),
                        _ => parser.range(tokens),
                    })?);
                }
                "end" => {
                    tokens.take();
                    self.no_tokens(&tokens)?;
                    return Ok((nodes.into(), Terminator::End(at)));
                }
                "else" => {
                    tokens.take();
                    return Ok((nodes.into(), Terminator::Else(at, tokens)));
                }
                "with" | "define" | "template" | "block" | "break" | "continue" => {
                    return Err(self.error(at, format!("{{{{{keyword}}}}} is not supported")));
                }
                _ => nodes.push(Node::Print(self.pipeline(&mut tokens)?)),
            }
        }
        Ok((nodes.into(), Terminator::EndOfText))
    }

    fn no_tokens(&self, tokens: &Tokens) -> Result<(), TemplateError> {
        match tokens.peek() {
            Some(_) => Err(self.error(tokens.position(), "unexpected word in this action")),
            None => Ok(()),
        }
    }

    /// Bounds the recursion.
    fn nested<T>(
        &mut self,
        at: usize,
        parse: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(at, format!("nested more than {MAX_DEPTH} times")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// What follows `if`, up to its `end`.
    fn condition(&mut self, mut tokens: Tokens) -> Result<Node, TemplateError> {
        let (at, scope) = (tokens.action_position(), self.variables.len());
        let condition = self.pipeline(&mut tokens)?;
        let inner = self.variables.len();
        let (then, terminator) = self.list()?;
        self.variables.truncate(inner);
        let otherwise = match terminator {
            Terminator::Else(at, mut tokens) if tokens.peek().is_some_and(Token::is_if) => {
                tokens.take();
                Box::new([self.nested(at, |parser| parser.condition(tokens))?])
            }
            other => self.otherwise(at, other)?,
        };
        self.variables.truncate(scope);
        Ok(Node::If { condition, then, otherwise })
    }

    /// What follows `range`, up to its `end`.
    fn range(&mut self, mut tokens: Tokens) -> Result<Node, TemplateError> {
        let (at, scope) = (tokens.action_position(), self.variables.len());
        let names = match tokens.assigned() {
            Some((_, Token::Assign)) => return Err(self.error(at, "range with = is not supported; write :=")),
            Some((names, _)) => names,
            None => Vec::new(),
        };
        let over = self.pipeline(&mut tokens)?;
        let variables = names.len();
        self.variables.extend(names);
        self.ranges += 1;
        let (body, terminator) = self.list()?;
        self.ranges -= 1;
        self.variables.truncate(scope);
        let otherwise = self.otherwise(at, terminator)?;
        Ok(Node::Range { over, variables, body, otherwise })
    }

    /// The nodes after an `else`, if that is what ended the list of the action at `at`.
    fn otherwise(&mut self, at: usize, terminator: Terminator) -> Result<Block, TemplateError> {
        let (nodes, terminator) = match terminator {
            Terminator::Else(_, tokens) => {
                self.no_tokens(&tokens)?;
                let scope = self.variables.len();
                let list = self.list()?;
                self.variables.truncate(scope);
                list
            }
            other => (Block::default(), other),
        };
        match terminator {
            Terminator::End(_) => Ok(nodes),
            Terminator::Else(at, _) => Err(self.error(at, "unexpected {{else}}")),
            Terminator::EndOfText => Err(self.error(at, "no {{end}} for this action")),
        }
    }

    /// A pipeline up to the end of the tokens.
    fn pipeline(&mut self, tokens: &mut Tokens) -> Result<Pipeline, TemplateError> {
        let at = tokens.position();
        let assigned = tokens.assigned();
        let commands = self.commands(tokens)?;
        let target = match assigned {
            None => None,
            Some((names, token)) => match (&*names, token) {
                ([name], Token::Declare) => {
                    self.variables.push(name.clone());
                    Some(Target::New)
                }
                ([name], _) => Some(Target::Existing(self.slot(name, at)?)),
                _ => return Err(self.error(at, "too many declarations in command")),
            },
        };
        self.no_tokens(tokens)?;
        Ok(Pipeline { target, commands })
    }

    fn commands(&mut self, tokens: &mut Tokens) -> Result<Box<[Command]>, TemplateError> {
        let mut commands = vec![self.command(tokens, false)?];
        while tokens.next_is(&Token::Pipe) {
            commands.push(self.command(tokens, true)?);
        }
        Ok(commands.into())
    }

    /// A command; `is_piped` if it gets the value of another one as its last argument.
    fn command(&mut self, tokens: &mut Tokens, is_piped: bool) -> Result<Command, TemplateError> {
        let at = tokens.position();
        if let Some(Token::Word(name)) = tokens.peek().cloned()
            && !matches!(&*name, "true" | "false" | "nil")
        {
            tokens.take();
            return self.call(&name, at, tokens, is_piped);
        }
        let value = self.operand(tokens)?;
        if is_piped {
            return Err(self.error(at, "a value that is no function cannot be piped to"));
        }
        if !matches!(tokens.peek(), None | Some(Token::Pipe | Token::Close)) {
            return Err(self.error(at, "can't give argument to non-function"));
        }
        Ok(Command::Value(value))
    }

    fn call(
        &mut self,
        name: &str,
        at: usize,
        tokens: &mut Tokens,
        is_piped: bool,
    ) -> Result<Command, TemplateError> {
        let function = match (Function::from_name(name), name) {
            (Some(function), _) => function,
            (None, "call" | "html" | "js" | "slice" | "urlquery") => {
                return Err(self.error(at, format!("function {name:?} is not supported")));
            }
            (None, _) => return Err(self.error(at, format!("function {name:?} not defined"))),
        };
        let mut arguments = Vec::new();
        while !matches!(tokens.peek(), None | Some(Token::Pipe | Token::Close)) {
            arguments.push(self.operand(tokens)?);
        }
        let (least, most) = function.arity();
        let count = arguments.len() + usize::from(is_piped);
        if count < least || count > most {
            return Err(self.error(at, format!("wrong number of arguments for {name}: {count}")));
        }
        let literal = arguments.first().filter(|first| first.fields.is_empty()).map(|first| &first.base);
        if let (Function::Printf, Some(Base::Text(text))) = (function, literal) {
            format::check(text).map_err(|reason| self.error(at, format!("printf {text:?}: {reason}")))?;
        }
        Ok(Command::Call { function, arguments: arguments.into() })
    }

    fn operand(&mut self, tokens: &mut Tokens) -> Result<Operand, TemplateError> {
        let at = tokens.position();
        let Some(lexeme) = tokens.take() else {
            return Err(self.error(at, "missing value for command"));
        };
        let mut first_field = None;
        let is_query = self.ranges == 0;
        let (base, mut kind) = match lexeme.token {
            Token::Dot => (Base::Dot, is_query.then_some(Kind::Query)),
            Token::Field(name) if name == "Meta" && is_query => return self.metadata(at, tokens),
            Token::Field(name) => {
                first_field = Some(name);
                (Base::Dot, is_query.then_some(Kind::Query))
            }
            Token::Variable(name) if name == "$" => (Base::Root, Some(Kind::Query)),
            Token::Variable(name) => (Base::Variable(self.slot(&name, at)?), None),
            Token::Text(text) => (Base::Text(text.into()), Some(Kind::Scalar)),
            Token::Integer(number) => (Base::Integer(number), Some(Kind::Scalar)),
            Token::Word(word) if word == "true" => (Base::Bool(true), Some(Kind::Scalar)),
            Token::Word(word) if word == "false" => (Base::Bool(false), Some(Kind::Scalar)),
            Token::Word(word) => {
                return Err(self.error(at, format!("{word} is no value; write a function in parentheses")));
            }
            Token::Open => (self.parentheses(at, tokens)?, None),
            _ => return Err(self.error(at, "missing value for command")),
        };
        let mut fields = Vec::new();
        let mut next = first_field.map(|name| (name, at)).or_else(|| tokens.attached_field());
        while let Some((name, at)) = next {
            kind = match kind.map(|kind| kind.field(&name)) {
                Some(None) => return Err(self.error(at, format!("can't evaluate field {name}"))),
                Some(kind) => kind,
                None => None,
            };
            fields.push(name.into_boxed_str());
            next = tokens.attached_field();
        }
        Ok(Operand { base, fields: fields.into() })
    }

    /// `.Meta "LABEL"`.
    fn metadata(&self, at: usize, tokens: &mut Tokens) -> Result<Operand, TemplateError> {
        match tokens.take().map(|lexeme| lexeme.token) {
            Some(Token::Text(_)) => Ok(Operand { base: Base::Metadata, fields: Box::default() }),
            _ => Err(self.error(at, ".Meta takes one label, as in .Meta \"forward/upstream\"")),
        }
    }

    fn parentheses(&mut self, at: usize, tokens: &mut Tokens) -> Result<Base, TemplateError> {
        let commands = self.nested(at, |parser| parser.commands(tokens))?;
        if !tokens.next_is(&Token::Close) {
            return Err(self.error(at, "unclosed left paren"));
        }
        Ok(Base::Nested(Box::new(Pipeline { target: None, commands })))
    }

    /// The place of a variable on the stack.
    fn slot(&self, name: &str, at: usize) -> Result<usize, TemplateError> {
        let slot = self.variables.iter().rposition(|known| known == name);
        slot.ok_or_else(|| self.error(at, format!("undefined variable {name:?}")))
    }
}
