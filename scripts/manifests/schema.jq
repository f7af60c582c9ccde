# Makes schema.json from Kubernetes' OpenAPI document (version 2): the types of $old[0] with the fields that
# they have now. A field's type is a name of a type, a JSON type, "any", or an array or object of one.
def reference: ltrimstr("#/definitions/");
def type_of:
    if ."$ref" then (."$ref" | reference)
    elif .type == "array" then [.items | type_of]
    elif .type == "object" and .additionalProperties then {"*": .additionalProperties | type_of}
    elif .type == "object" or .type == null then "any"
    elif .type == "integer" then "number"
    else .type end;
# IntOrString and quantities are both strings and numbers; times are strings.
def definition:
    . as $definition
    | if .properties then
        .properties | with_entries({
            key: (.key + if .key | IN($definition.required[]?) then "!" else "" end),
            value: .value | type_of
        })
    elif .format == "date-time" then "string"
    else "any" end;

.definitions as $definitions
| {kinds: $old[0].kinds, types: ($old[0].types | with_entries(.value = ($definitions[.key] | definition)))}
