"""Takes nothing, writes deploy/azure/workbook.json and deploy/azure/template.json."""

from __future__ import annotations

from tools.azure.files import FOLDER, text
from tools.azure.template import template
from tools.azure.workbook import workbook

(FOLDER / "workbook.json").write_text(text(workbook()), encoding="utf-8")
(FOLDER / "template.json").write_text(text(template()), encoding="utf-8")
