//! Tokens of an action of a record template that are left.

use std::vec::IntoIter;

use super::lex::{Lexeme, Token};

/// The tokens of an action that are left.
pub(super) struct Tokens {
    rest: IntoIter<Lexeme>,
    /// The position of the action.
    at: usize,
}

impl Tokens {
    pub(super) fn new(lexemes: Vec<Lexeme>, at: usize) -> Self {
        Self { rest: lexemes.into_iter(), at }
    }

    /// The position of the action.
    pub(super) fn action_position(&self) -> usize {
        self.at
    }

    /// Takes the next one.
    pub(super) fn take(&mut self) -> Option<Lexeme> {
        self.rest.next()
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.rest.as_slice().first().map(|lexeme| &lexeme.token)
    }

    /// The position of the next token.
    pub(super) fn position(&self) -> usize {
        self.rest.as_slice().first().map_or(self.at, |lexeme| lexeme.at)
    }

    pub(super) fn next_is(&mut self, wanted: &Token) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.rest.next();
        }
        is_next
    }

    /// The names before `:=` or `=`, with that token; they are taken.
    pub(super) fn assigned(&mut self) -> Option<(Vec<String>, Token)> {
        let (names, length) = match self.rest.as_slice() {
            [first, second, ..] if is_assignment(&second.token) => (vec![variable(first)?], 2),
            [first, comma, second, last, ..] if comma.token == Token::Comma && is_assignment(&last.token) => {
                (vec![variable(first)?, variable(second)?], 4)
            }
            _ => return None,
        };
        self.rest.nth(length - 1).map(|last| (names, last.token))
    }

    /// Takes a field directly after a value, with its position.
    pub(super) fn attached_field(&mut self) -> Option<(String, usize)> {
        match self.rest.as_slice().first()? {
            Lexeme { token: Token::Field(name), at, is_attached: true } => {
                let field = (name.clone(), *at);
                self.rest.next();
                Some(field)
            }
            _ => None,
        }
    }
}

fn is_assignment(token: &Token) -> bool {
    matches!(token, Token::Declare | Token::Assign)
}

fn variable(lexeme: &Lexeme) -> Option<String> {
    match &lexeme.token {
        Token::Variable(name) if name != "$" => Some(name.clone()),
        _ => None,
    }
}
