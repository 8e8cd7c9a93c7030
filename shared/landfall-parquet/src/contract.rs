//! A contract, compiled once: types, rules and patterns checked before the first byte is read.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use landfall_core::contract::{Column, Contract, DuplicateKeys, TimeFormat, UnknownFields, ViolationPolicy};
use landfall_core::data_type::DataType;

use crate::column::{Field, Node, StructNode};
use crate::rules::Rules;
use crate::schema::arrow_schema;

/// The column of a record's text. No column of a contract has this name.
const TEXT: &str = "";

/// A contract that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot compile column `{column}` of the contract: {message}")]
pub struct ContractError {
    /// The column; empty when the contract as a whole is meant.
    pub column: String,
    /// What is wrong with it.
    pub message: String,
}

/// A contract whose types, rules and patterns are checked and ready.
#[derive(Debug, Clone)]
pub struct CompiledContract {
    columns: Vec<(Column, Option<Rules>)>,
    /// Those that landfall fills.
    given: Vec<Column>,
    schema: SchemaRef,
    pub(crate) version: u32,
    pub(crate) on_violation: ViolationPolicy,
    pub(crate) unknown_fields: UnknownFields,
    pub(crate) duplicate_keys: DuplicateKeys,
}

impl CompiledContract {
    /// Compiles a contract.
    ///
    /// # Errors
    /// When a rule does not fit its column's type, a pattern does not compile, or two columns share a name or a member
    /// of the record. Permanent: only another contract helps.
    pub fn new(contract: &Contract) -> Result<Self, ContractError> {
        let whole = |message: &str| ContractError { column: String::new(), message: message.to_owned() };
        if contract.columns.is_empty() {
            return Err(whole("it has no column"));
        }
        let mut names = HashSet::new();
        let mut sources = HashSet::new();
        let mut columns = Vec::with_capacity(contract.columns.len());
        for column in &contract.columns {
            let error = |message: String| ContractError { column: column.name.clone(), message };
            if !names.insert(column.name.as_str()) {
                return Err(error("the name stands twice".to_owned()));
            }
            if !sources.insert(column.source_name()) {
                return Err(error(format!("member `{}` is read by two columns", column.source_name())));
            }
            check_format(column).map_err(error)?;
            columns.push((column.clone(), Rules::compile(column).map_err(error)?));
        }
        Ok(Self {
            columns,
            schema: Arc::new(arrow_schema(&contract.file_columns())),
            given: contract.own_columns(),
            version: contract.version,
            on_violation: contract.on_violation,
            unknown_fields: contract.unknown_fields,
            duplicate_keys: contract.duplicate_keys,
        })
    }

    /// With the text of each record in one more column behind the others: what files of JSON lines are made of.
    pub(crate) fn with_text(mut self) -> Self {
        let text = Column { nullable: false, ..Column::new(TEXT, DataType::String) };
        let field = arrow_schema(std::slice::from_ref(&text));
        let fields = self.schema.fields().iter().chain(field.fields()).cloned();
        self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        self.given.push(text);
        self
    }

    /// The schema of all columns, whether or not the layout has them in the files.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Empty columns for records of this contract.
    pub(crate) fn empty_records(&self) -> StructNode {
        let fields = self.columns.iter().map(|(column, rules)| {
            let node = Node::new(&column.data_type, column.format.unwrap_or(TimeFormat::Iso));
            Field::new(&column.name, column.source_name(), node, column.nullable, rules.clone())
        });
        let given = self
            .given
            .iter()
            .map(|column| Field::given(&column.name, Node::new(&column.data_type, TimeFormat::Iso)));
        StructNode::new(fields.chain(given).collect())
    }

    /// The index and type of a column.
    pub(crate) fn column(&self, name: &str) -> Option<(usize, &DataType)> {
        let index = self.columns.iter().position(|(column, _)| column.name == name)?;
        self.columns.get(index).map(|(column, _)| (index, &column.data_type))
    }
}

/// A format must find a date or timestamp to apply to.
fn check_format(column: &Column) -> Result<(), String> {
    fn holds_time(data_type: &DataType) -> bool {
        match data_type {
            DataType::Date | DataType::Timestamp(_) => true,
            DataType::List(inner) | DataType::Map(inner) => holds_time(inner),
            DataType::Struct(members) => members.iter().any(|(_, member)| holds_time(member)),
            _ => false,
        }
    }
    if column.format.is_some() && !holds_time(&column.data_type) {
        return Err(format!("a format applies to dates and timestamps, not to {}", column.data_type));
    }
    Ok(())
}
