"use strict";
// Answers stay in this page until they are downloaded: nothing is sent, and nothing is kept in the browser.
(() => {
  const items = [...document.querySelectorAll(".item")];
  const progress = document.getElementById("progress");
  let isSaved = true;

  const chosen = (item) => item.querySelector("input[type=radio]:checked");

  function row(item) {
    const { sheet, item: name, label, value } = item.dataset;
    const answer = chosen(item).value;
    return [sheet, name, label, value, answer, answer === "wrong" ? item.querySelector("select").value : ""];
  }

  function show() {
    let count = 0;
    for (const item of items) {
      const answer = chosen(item);
      item.classList.toggle("answered", answer !== null);
      item.querySelector(".instead").hidden = answer === null || answer.value !== "wrong";
      count += answer === null ? 0 : 1;
    }
    progress.textContent = `${count} / ${items.length}` + (isSaved ? "" : " *");
  }

  // A cell that begins like a formula would be run by a spreadsheet program.
  const cell = (text) => `"${(/^[=+\-@＝＋－＠\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""')}"`;

  function csv() {
    const rows = items.filter((item) => chosen(item) !== null).map(row);
    return [["sheet", "item", "label", "value", "answer", "instead"], ...rows].map((cells) => cells.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  document.getElementById("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + csv()], { type: "text/csv" }));
    link.download = `${items.length ? items[0].dataset.sheet : "label"}-answers.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    isSaved = true;
    show();
  });

  document.addEventListener("input", (event) => {
    if (event.target.id === "open-only") return;
    isSaved = false;
    show();
  });

  addEventListener("beforeunload", (event) => {
    if (!isSaved) event.preventDefault();
  });

  // Browsers fill in what a reloaded page held; an answer counts only when somebody gives it now.
  for (const input of document.querySelectorAll(".item input")) input.checked = false;
  document.documentElement.classList.add("scripted");
  show();
})();
