//! Record templates: what they evaluate to, what fails, and what is rejected with its position.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

use proptest::prelude::*;
use resolver::policy::template::{QuestionData, RecordTemplate, TemplateData};
use wire::header::{Class, Flags, RecordType};

/// The query `Ip-10-1.Example. A` and the pattern `ip-(?P<a>[0-9]+)-([0-9]+)(x)?`.
fn data() -> TemplateData<'static> {
    let groups = [(None, "ip-10-1"), (Some("a"), "10"), (None, "1"), (None, "")];
    TemplateData {
        zone: "example.".to_owned(),
        name: "ip-10-1.example.".to_owned(),
        pattern: "ip-(?P<a>[0-9]+)-([0-9]+)(x)?",
        groups: groups.map(|(name, text)| (name, text.to_owned())).into(),
        class: Class::IN,
        qtype: RecordType::A,
        remote: "10.0.0.7".parse().unwrap(),
        question: QuestionData {
            name: "Ip-10-1.Example.".to_owned(),
            qtype: RecordType::A,
            class: Class::IN,
        },
        id: 4711,
        flags: Flags::RD.with(Flags::CD),
    }
}

fn evaluate(template: &str) -> Result<String, &'static str> {
    let parsed = RecordTemplate::parse(template).expect(template);
    assert_eq!(parsed.source(), template);
    parsed.evaluate(&data()).map_err(|error| error.0)
}

#[track_caller]
fn assert_evaluates(rows: &[(&str, &str)]) {
    for (template, expected) in rows {
        assert_eq!(evaluate(template).as_deref(), Ok(*expected), "{template:?}");
    }
}

#[test]
fn fields_of_the_query() {
    assert_evaluates(&[
        ("{{ .Name }} 60 IN A 10.0.0.1", "ip-10-1.example. 60 IN A 10.0.0.1"),
        ("{{.Name}}", "ip-10-1.example."),
        ("{{ .Zone }} {{ .Class }} {{ .Type }} {{ .Remote }}", "example. IN A 10.0.0.7"),
        ("{{ .Regex }}", "ip-(?P<a>[0-9]+)-([0-9]+)(x)?"),
        ("{{ .Group.a }} {{ $.Group.a }} {{ index .Group \"2\" }}", "10 10 1"),
        ("{{ .Group.b }}", "<no value>"),
        ("[{{ index .Group \"b\" }}]", "[]"),
        ("{{ index .Match 0 }} {{ index .Match 2 }} [{{ index .Match 3 }}]", "ip-10-1 1 []"),
        ("{{ .Question.Name }} {{ .Question.Qtype }} {{ .Question.Qclass }}", "Ip-10-1.Example. 1 1"),
        ("{{ (index .Message.Question 0).Name }}", "Ip-10-1.Example."),
        (
            "{{ .Message.Id }} {{ .Message.RecursionDesired }} {{ .Message.AuthenticatedData }}",
            "4711 true false",
        ),
        ("[{{ .Meta \"forward/upstream\" }}]", "[]"),
        ("", ""),
        ("no action", "no action"),
        ("}} {", "}} {"),
    ]);
}

#[test]
fn pipelines_variables_and_functions() {
    assert_evaluates(&[
        ("{{ .Group.a | printf \"%s.%s\" \"x\" }}", "x.10"),
        ("{{ $a := .Group.a }}{{ $a }}{{ $a = \"b\" }}{{ $a }}", "10b"),
        ("{{ $m := .Match }}{{ index $m 1 }} {{ len $m }} {{ len .Name }} {{ len .Group }}", "10 4 16 5"),
        ("{{ parseInt .Group.a 16 8 }} {{ parseInt \"ff\" 16 8 }} {{ parseInt \"7\" 8 0 }}", "16 255 7"),
        (
            "{{ printf \"%03d|%-4s|%4s|%x|%X|%o|%b|%c|%t|%%\" 7 \"a\" \"b\" 255 255 8 5 65 true }}",
            "007|a   |   b|ff|FF|10|101|A|true|%",
        ),
        (
            "{{ printf \"%+d %.3d %.1s %q %x %v %v\" 7 7 \"abc\" `a\"b` \"az\" 1 true }}",
            "+7 007 a \"a\\\"b\" 617a 1 true",
        ),
        ("{{ print \"a\" \"b\" 1 2 true }}|{{ println 1 \"a\" }}|{{ print }}", "ab1 2 true|1 a\n|"),
        (
            "{{ eq .Type \"A\" }} {{ eq 1 2 1 }} {{ ne .Group.a \"10\" }} {{ eq .Group.b \"x\" }}",
            "true true false false",
        ),
        ("{{ lt 1 2 }} {{ le 2 2 }} {{ gt \"a\" \"b\" }} {{ ge 0x10 16 }}", "true true false true"),
        ("{{ and 1 0 2 }} {{ or 0 \"\" \"x\" }} {{ not .Name }} {{ and true \"y\" }}", "0 x false y"),
        // `and` and `or` evaluate no more than they need.
        ("{{ or 1 (index .Match 9) }} {{ and 0 (index .Match 9) }}", "1 0"),
        (
            "{{ \"a\\tb\\x41\\u00e4\\\\\\\"\" }} {{ `raw \\n` }} {{ -3 }} {{ 010 }}",
            "a\tbA\u{e4}\\\" raw \\n -3 8",
        ),
        ("{{ (printf \"%s\" .Zone) | len }}", "8"),
    ]);
}

#[test]
fn conditions_loops_comments_and_trim_markers() {
    assert_evaluates(&[
        ("{{ if .Group.a }}yes{{ else }}no{{ end }}", "yes"),
        ("{{ if eq .Type \"AAAA\" }}6{{ else if eq .Type \"A\" }}4{{ else }}-{{ end }}", "4"),
        ("{{ if 0 }}a{{ else if \"\" }}b{{ else }}c{{ end }}", "c"),
        ("{{ if $x := .Group.a }}{{ $x }}{{ end }}", "10"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ range .Match }}[{{ . }}]{{ end }}", "[ip-10-1][10][1][]"),
        ("{{ range $i, $m := .Match }}{{ $i }}{{ $m }},{{ end }}", "0ip-10-1,110,21,3,"),
        ("{{ range $k, $v := .Group }}{{ $k }}={{ $v }} {{ end }}", "0=ip-10-1 1=10 2=1 3= a=10 "),
        ("{{ range $n := 3 }}{{ $n }}{{ end }}{{ range 0 }}x{{ else }}none{{ end }}", "012none"),
        ("{{ range .Message.Question }}{{ .Name }}{{ $.Zone }}{{ end }}", "Ip-10-1.Example.example."),
        ("a {{- \" b \" -}} c", "a b c"),
        ("a {{- /* comment */ -}} c{{/* } */}}", "ac"),
        ("a\n{{- if true }} b {{- end }}\n", "a b\n"),
    ]);
}

#[test]
fn evaluation_fails_with_a_reason() {
    for (template, reason) in [
        ("{{ index .Match 4 }}", "error calling index: index out of range"),
        ("{{ index .Match -1 }}", "error calling index: index out of range"),
        ("{{ index .Name 0 }}", "error calling index: the value cannot be indexed so"),
        ("{{ parseInt .Name 10 8 }}", "parseInt: invalid syntax or value out of range"),
        ("{{ parseInt \"256\" 10 8 }}", "parseInt: invalid syntax or value out of range"),
        ("{{ parseInt \"+1\" 10 8 }}", "parseInt: invalid syntax or value out of range"),
        ("{{ parseInt \"1\" 37 8 }}", "parseInt: invalid base"),
        ("{{ parseInt \"1\" 10 65 }}", "parseInt: invalid bit size"),
        ("{{ parseInt 1 10 8 }}", "parseInt: wanted a text, a base and a size in bits"),
        ("{{ eq .Name 1 }}", "incompatible types for comparison"),
        ("{{ lt true false }}", "incompatible types for comparison"),
        ("{{ .Match }}", "only texts, numbers and truth values can be printed"),
        ("{{ range .Name }}{{ end }}", "range can't iterate over the value"),
        ("{{ range .Match }}{{ .Name }}{{ end }}", "the value has no such field"),
        ("{{ $x := .Match }}{{ $x.Name }}", "the value has no such field"),
        ("{{ len 1 }}", "error calling len: the value has no length"),
        ("{{ printf .Name 1 }}", "printf: too many arguments"),
        ("{{ printf \"%s\" }}", "printf: too few arguments"),
        ("{{ printf \"%s\" 1 }}", "printf: the verb does not suit the value"),
        (
            "{{ $f := \"%y\" }}{{ printf $f 1 }}",
            "a verb is not supported; supported are %d %s %v %q %x %X %o %b %c %t %%",
        ),
        ("{{ printf 1 }}", "printf: the format is no text"),
    ] {
        assert_eq!(evaluate(template), Err(reason), "{template:?}");
    }
}

#[test]
fn length_and_steps_are_bounded() {
    for (template, reason) in [
        ("{{ range 100000000 }}{{ end }}", "more than 10,000 steps"),
        ("{{ range 200 }}{{ range 200 }}{{ end }}{{ end }}", "more than 10,000 steps"),
        ("{{ range 1000 }}1234567890{{ end }}", "the text is too long"),
        ("{{ $x := \"x\" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}", "the text is too long"),
        ("{{ $x := \"x\" }}{{ range 100 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}", "the text is too long"),
    ] {
        assert_eq!(evaluate(template), Err(reason), "{template:?}");
    }
    assert_eq!(evaluate(&"a".repeat(8192)).unwrap().len(), 8192);
    assert_eq!(evaluate(&"a".repeat(8193)), Err("the text is too long"));
}

#[track_caller]
fn assert_rejected(rows: &[(&str, usize, &str)]) {
    for (template, column, reason) in rows {
        let error = RecordTemplate::parse(template).expect_err(template);
        assert_eq!((error.column, &*error.reason), (*column, *reason), "{template:?}");
    }
}

#[test]
fn unknown_names_and_wrong_arguments_are_rejected_with_their_position() {
    assert_rejected(&[
        ("a {{", 3, "unclosed action"),
        ("a {{ .Name", 3, "unclosed action"),
        ("{{ .Name }", 10, "unexpected '}' in an action"),
        ("{{ \"a }}", 4, "unterminated quoted string"),
        ("{{ `a }}", 4, "unterminated raw quoted string"),
        ("{{/* a }}", 1, "unclosed comment"),
        ("{{/* a */ b }}", 10, "comment ends before closing delimiter"),
        ("{{ }}", 1, "missing value for command"),
        ("{{ .Name | }}", 1, "missing value for command"),
        ("{{ .Nam }}", 4, "can't evaluate field Nam"),
        ("ä{{ .Grup.d }}", 5, "can't evaluate field Grup"),
        ("{{ .Name.x }}", 9, "can't evaluate field x"),
        ("{{ .Group.a.b }}", 12, "can't evaluate field b"),
        ("{{ .Message.Extra }}", 12, "can't evaluate field Extra"),
        ("{{ .Question.Id }}", 13, "can't evaluate field Id"),
        ("{{ .Var }}", 4, "can't evaluate field Var"),
        ("{{ .Meta }}", 4, ".Meta takes one label, as in .Meta \"forward/upstream\""),
        ("{{ foo .Name }}", 4, "function \"foo\" not defined"),
        ("{{ html .Name }}", 4, "function \"html\" is not supported"),
        ("{{ .Name | js }}", 12, "function \"js\" is not supported"),
        ("{{ slice .Name 1 }}", 4, "function \"slice\" is not supported"),
        ("{{ not }}", 4, "wrong number of arguments for not: 0"),
        ("{{ eq 1 }}", 4, "wrong number of arguments for eq: 1"),
        ("{{ parseInt .Name 10 }}", 4, "wrong number of arguments for parseInt: 2"),
        ("{{ .Name .Zone }}", 4, "can't give argument to non-function"),
        ("{{ .Name | .Zone }}", 12, "a value that is no function cannot be piped to"),
        ("{{ eq nil 1 }}", 7, "nil is no value; write a function in parentheses"),
        ("{{ print len }}", 10, "len is no value; write a function in parentheses"),
        ("{{ $x }}", 4, "undefined variable \"$x\""),
        ("{{ $x = 1 }}", 4, "undefined variable \"$x\""),
        ("{{ if 1 }}{{ $x := 1 }}{{ end }}{{ $x }}", 36, "undefined variable \"$x\""),
        ("{{ $x, $y := 1 }}", 4, "too many declarations in command"),
        ("{{ $x := 1 }}{{ range $x = .Match }}{{ end }}", 14, "range with = is not supported; write :="),
    ]);
}

#[test]
fn unsupported_syntax_is_rejected_with_its_position() {
    let deep = format!("{}1{}", "(".repeat(40), ")".repeat(40));
    let deep = format!("{{{{ {deep} }}}}");
    let blocks = "{{ if 1 }}".repeat(40);
    assert_rejected(&[
        ("{{ 1.5 }}", 4, "not a supported number: 1; write a decimal integer"),
        ("{{ 1e3 }}", 4, "not a supported number: 1e3; write a decimal integer"),
        ("{{ .5 }}", 4, "a number with a fraction is not supported: .5"),
        ("{{ 'a' }}", 4, "a character constant is not supported; write its number"),
        ("{{ \"\\q\" }}", 4, "a string has an escape other than \\n \\r \\t \\\\ \\\" \\xHH \\uHHHH"),
        ("{{ (1 }}", 4, "unclosed left paren"),
        ("{{ 1) }}", 5, "unexpected word in this action"),
        ("{{ if 1 }}", 1, "no {{end}} for this action"),
        ("{{ if }}{{ end }}", 1, "missing value for command"),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", 21, "unexpected {{else}}"),
        ("{{ if 1 }}{{ else x }}{{ end }}", 19, "unexpected word in this action"),
        ("{{ else }}", 1, "unexpected {{else}}"),
        ("{{ end }}", 1, "unexpected {{end}}"),
        ("{{ range .Match }}{{ end x }}", 26, "unexpected word in this action"),
        ("{{ range .Match }}{{ break }}{{ end }}", 19, "{{break}} is not supported"),
        ("{{ with .Name }}{{ end }}", 1, "{{with}} is not supported"),
        ("{{ template \"x\" }}", 1, "{{template}} is not supported"),
        (
            "{{ printf \"%y\" 1 }}",
            4,
            "printf \"%y\": a verb is not supported; supported are %d %s %v %q %x %X %o %b %c %t %%",
        ),
        ("{{ printf \"%999d\" 1 }}", 4, "printf \"%999d\": a width or precision is above 255"),
        ("{{ printf \"%\" 1 }}", 4, "printf \"%\": a verb is missing after %"),
        (&deep, 36, "nested more than 32 times"),
        (&blocks, 321, "nested more than 32 times"),
    ]);
}

proptest! {
    /// Parsing and evaluating end, without a panic, whatever the text.
    #[test]
    fn any_text_is_parsed_and_evaluated_without_a_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "{{", "}}", "{{-", "-}}", " ", ".", ".Name", ".Match", ".Group.a", "$", "$x", ":=", "=", ",", "|",
                "(", ")", "if", "else", "end", "range", "index", "printf", "eq", "print", "\"%s\"", "`", "\"",
                "/*", "*/", "1", "-", "0x", "ä", "\\", "'", "100000", "len", "not", "parseInt",
            ]),
            0..24,
        )
    ) {
        if let Ok(template) = RecordTemplate::parse(&parts.concat()) {
            let length = template.evaluate(&data()).map_or(0, |record| record.len());
            prop_assert!(length <= 8192);
        }
    }
}
