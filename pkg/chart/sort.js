// A click on a column's name sorts a table of class sortable by it, another the other way round. What is no number comes behind those that are.
for (const head of document.querySelectorAll("table.sortable thead th")) {
  const sort = () => {
    const body = head.closest("table").tBodies[0];
    const sign = head.ariaSort === "ascending" ? -1 : 1;
    const keyOf = (row) => {
      const cell = row.cells[head.cellIndex];
      const text = cell.dataset.sort ?? cell.textContent.trim().replace("−", "-");
      const number = parseFloat(text);
      return { row, text, number, isNumber: !Number.isNaN(number) };
    };
    const compare = (a, b) =>
      a.isNumber && b.isNumber ? sign * (a.number - b.number)
      : a.isNumber !== b.isNumber ? (a.isNumber ? -1 : 1)
      : sign * a.text.localeCompare(b.text);
    for (const other of head.parentNode.cells) other.ariaSort = null;
    head.ariaSort = sign > 0 ? "ascending" : "descending";
    body.append(...[...body.rows].map(keyOf).sort(compare).map((key) => key.row));
  };
  head.tabIndex = 0;
  head.onclick = sort;
  head.onkeydown = (event) => { if (event.key === "Enter") sort(); };
}
