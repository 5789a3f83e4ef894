//! Syntax tree of a record template: the supported subset of Go's text/template.

/// A sequence of nodes.
pub(super) type Block = Box<[Node]>;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Text outside `{{ }}`.
    Text(Box<str>),
    /// `{{ PIPELINE }}`: its value, or nothing when it sets a variable.
    Print(Pipeline),
    /// `{{ if }}`, `{{ else }}`, `{{ end }}`; an `else if` is an `If` in `otherwise`.
    If { condition: Pipeline, then: Block, otherwise: Block },
    /// `{{ range }}`, `{{ else }}`, `{{ end }}`.
    Range {
        over: Pipeline,
        /// Variables declared: none, the element, or index and element.
        variables: usize,
        body: Block,
        otherwise: Block,
    },
}

/// Commands, each of which gets the value of the one before it as its last argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pipeline {
    pub(super) target: Option<Target>,
    pub(super) commands: Box<[Command]>,
}

/// The variable that a pipeline sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `$x :=`: the next place on the stack of variables.
    New,
    /// `$x =`: this place.
    Existing(usize),
}

/// A part of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Value(Operand),
    Call { function: Function, arguments: Box<[Operand]> },
}

/// A value and the fields that are read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    pub(super) base: Base,
    pub(super) fields: Box<[Box<str>]>,
}

/// Where the value of an operand comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// `.`, the element in a `range` and the query outside.
    Dot,
    /// `$`, the query.
    Root,
    /// A place on the stack of variables.
    Variable(usize),
    Text(Box<str>),
    Integer(i128),
    Bool(bool),
    /// `.Meta "LABEL"`: the empty text, since no directive in front sets a label.
    Metadata,
    /// A pipeline in parentheses.
    Nested(Box<Pipeline>),
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Or,
    Not,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Index,
    Len,
    Print,
    Printf,
    Println,
    ParseInt,
}

impl Function {
    const NAMES: [(&'static str, Self); 15] = [
        ("and", Self::And),
        ("or", Self::Or),
        ("not", Self::Not),
        ("eq", Self::Eq),
        ("ne", Self::Ne),
        ("lt", Self::Lt),
        ("le", Self::Le),
        ("gt", Self::Gt),
        ("ge", Self::Ge),
        ("index", Self::Index),
        ("len", Self::Len),
        ("print", Self::Print),
        ("printf", Self::Printf),
        ("println", Self::Println),
        ("parseInt", Self::ParseInt),
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, function)| function)
    }

    /// The smallest and the largest number of arguments.
    pub(super) fn arity(self) -> (usize, usize) {
        match self {
            Self::And | Self::Or | Self::Index | Self::Printf => (1, usize::MAX),
            Self::Not | Self::Len => (1, 1),
            Self::Eq => (2, usize::MAX),
            Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => (2, 2),
            Self::Print | Self::Println => (0, usize::MAX),
            Self::ParseInt => (3, 3),
        }
    }
}
