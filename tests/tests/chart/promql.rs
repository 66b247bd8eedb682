//! PromQL expressions, and what they select from a program's metrics.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use promql_parser::label::MatchOp;
use promql_parser::parser;
use promql_parser::parser::Expr;
use promql_parser::parser::LabelModifier;
use promql_parser::parser::VectorSelector;
use promql_parser::parser::value::ValueType;

/// One line of `/metrics`, without its value.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
}

impl Sample {
    /// The samples of a page whose names begin with this prefix, each with the labels that its
    /// scrape adds.
    pub(crate) fn all(
        page: &str,
        prefix: &str,
        scrape: &[(&str, &str)],
    ) -> Result<Vec<Self>, String> {
        let lines = page.lines().filter(|line| line.starts_with(prefix));
        lines
            .map(|line| {
                let (sample, _) = line
                    .rsplit_once(' ')
                    .ok_or_else(|| format!("no value: {line}"))?;
                Self::read(sample, scrape)
            })
            .collect()
    }

    /// Parses a name with labels, as in a page of metrics or in a selector.
    pub(crate) fn read(sample: &str, scrape: &[(&str, &str)]) -> Result<Self, String> {
        let Expr::VectorSelector(VectorSelector { name, matchers, .. }) = parse(sample)? else {
            return Err(format!("no sample: {sample}"));
        };
        let scrape = scrape
            .iter()
            .map(|&(label, value)| (label.to_owned(), value.to_owned()));
        let own = matchers
            .matchers
            .into_iter()
            .map(|own| (own.name, own.value));
        Ok(Self {
            name: name.ok_or("no name")?,
            labels: scrape.chain(own).collect(),
        })
    }

    fn is_selected_by(&self, selector: &VectorSelector) -> bool {
        let label = |name: &str| self.labels.get(name).map_or("", String::as_str);
        let mut matchers = selector.matchers.matchers.iter();
        selector.name.as_ref() == Some(&self.name)
            && matchers.all(|matcher| matcher.is_match(label(&matcher.name)))
    }
}

/// Parses an expression.
pub(crate) fn parse(expression: &str) -> Result<Expr, String> {
    parser::parse(expression).map_err(|error| format!("{error}: {expression}"))
}

/// The labels of an expression's result; an error if a part of it selects none of these samples, or
/// uses a label that the selected samples do not have.
pub(crate) fn labels(expression: &Expr, samples: &[Sample]) -> Result<BTreeSet<String>, String> {
    match expression {
        Expr::VectorSelector(selector) => found(selector, samples),
        Expr::MatrixSelector(selector) => found(&selector.vs, samples),
        Expr::Paren(inner) => labels(&inner.expr, samples),
        Expr::Unary(inner) => labels(&inner.expr, samples),
        Expr::Subquery(inner) => labels(&inner.expr, samples),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(BTreeSet::new()),
        Expr::Aggregate(aggregate) => {
            let inner = labels(&aggregate.expr, samples)?;
            match &aggregate.modifier {
                None => Ok(BTreeSet::new()),
                Some(LabelModifier::Include(by)) => {
                    has_all(&inner, &by.labels, expression)?;
                    Ok(by.labels.iter().cloned().collect())
                }
                Some(LabelModifier::Exclude(without)) => {
                    has_all(&inner, &without.labels, expression)?;
                    let without = without.labels.iter().cloned().collect();
                    Ok(inner.difference(&without).cloned().collect())
                }
            }
        }
        Expr::Binary(binary) => {
            let (left, right) = (labels(&binary.lhs, samples)?, labels(&binary.rhs, samples)?);
            let matching = binary
                .modifier
                .as_ref()
                .and_then(|own| own.matching.as_ref());
            if let Some(LabelModifier::Include(on)) = matching {
                has_all(&left, &on.labels, expression)?;
                has_all(&right, &on.labels, expression)?;
            }
            match binary.lhs.value_type() {
                ValueType::Scalar => Ok(right),
                _ => Ok(left),
            }
        }
        Expr::Call(call) => {
            let mut inner = BTreeSet::new();
            for argument in &call.args.args {
                inner.extend(labels(argument, samples)?);
            }
            if call.func.name == "histogram_quantile" {
                has_all(&inner, &["le".to_owned()], expression)?;
                inner.remove("le");
            }
            Ok(inner)
        }
        Expr::Extension(_) => Err(format!("unknown: {expression}")),
    }
}

/// The labels of the samples that a selector matches.
fn found(selector: &VectorSelector, samples: &[Sample]) -> Result<BTreeSet<String>, String> {
    let mut taken = samples
        .iter()
        .filter(|sample| sample.is_selected_by(selector))
        .peekable();
    if taken.peek().is_none() {
        return Err(format!("nothing is found by {selector}"));
    }
    let labels: BTreeSet<String> = taken
        .flat_map(|sample| sample.labels.keys().cloned())
        .collect();
    for matcher in &selector.matchers.matchers {
        // A missing label counts as different from every value.
        if matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRe(_)) {
            has_all(&labels, std::slice::from_ref(&matcher.name), selector)?;
        }
    }
    Ok(labels)
}

fn has_all(
    labels: &BTreeSet<String>,
    wanted: &[String],
    place: &impl std::fmt::Display,
) -> Result<(), String> {
    match wanted.iter().find(|label| !labels.contains(*label)) {
        None => Ok(()),
        Some(label) => Err(format!("there is no label {label} in {place}")),
    }
}
