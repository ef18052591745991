// Takes the folder of Microsoft's KQL parser and, as JSON on stdin, {tables: {NAME: "(column:type, …)"}, queries: [KQL …]};
// gives, as JSON, for each query what is wrong with it, and the columns of its answer with their types.
"use strict";
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { runInThisContext } = require("node:vm");

// The package is written for a browser: its parts make globals.
for (const part of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
    runInThisContext(readFileSync(join(process.argv[2], part), "utf8"), { filename: part });
}
const { KustoCode, GlobalState, Symbols } = Kusto.Language;

const { tables, queries } = JSON.parse(readFileSync(0, "utf8"));
const symbols = Object.entries(tables).map(([name, columns]) => Symbols.TableSymbol.From(columns).WithName(name));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1("logs", symbols));

const list = (items) => Array.from({ length: items.Count }, (_, index) => items.getItem(index));

function analyse(query) {
    const code = KustoCode.ParseAndAnalyze(query, globals);
    const errors = list(code.GetDiagnostics()).map(({ Code, Message, Start }) => {
        const line = query.slice(0, Start).split("\n").length;
        return `line ${line}: ${Message} (${Code})`;
    });
    const columns = code.ResultType?.Columns ? list(code.ResultType.Columns) : []; // none where it is no table
    return { errors, columns: Object.fromEntries(columns.map(({ Name, Type }) => [Name, Type.Name])) };
}

process.stdout.write(JSON.stringify(queries.map(analyse)));
