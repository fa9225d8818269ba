"use strict";
// Answers stay in this page until they are downloaded or copied: nothing is sent, and nothing is kept in the browser.
(() => {
  const items = [...document.querySelectorAll(".item")];
  const progress = document.getElementById("progress");
  let isSaved = true;

  const chosen = (place) => place.querySelector("input[type=radio]:checked");
  const missed = (item) => item.querySelector(".missed").value.split(/[;；\n]/).map((word) => word.trim()).filter((word) => word);

  function rows(item) {
    const { sheet, item: name } = item.dataset;
    const verdict = chosen(item.querySelector(".verdict"));
    const said = verdict ? [[sheet, name, "", verdict.value]] : [];
    for (const word of missed(item)) said.push([sheet, name, `「${word}」`, "remove"]);
    for (const row of item.querySelectorAll("tr[data-item]")) {
      const radio = chosen(row);
      if (radio && radio.value) said.push([sheet, row.dataset.item, `「${row.dataset.word}」`, radio.value]);
    }
    return said;
  }

  function show() {
    let count = 0;
    for (const item of items) {
      const isAnswered = chosen(item.querySelector(".verdict")) !== null;
      item.classList.toggle("answered", isAnswered);
      count += isAnswered ? 1 : 0;
    }
    progress.textContent = `${count} / ${items.length}` + (isSaved ? "" : " *");
  }

  // A cell that begins like a formula would be run by a spreadsheet program.
  const cell = (text) => `"${(/^[=+\-@＝＋－＠\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""')}"`;

  function csv() {
    return [["sheet", "item", "word", "answer"], ...items.flatMap(rows)].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  document.getElementById("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + csv()], { type: "text/csv" }));
    link.download = `${items.length ? items[0].dataset.sheet : "text"}-answers.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    isSaved = true;
    show();
  });

  document.addEventListener("input", (event) => {
    if (event.target.id === "open-only") return;
    const item = event.target.closest(".item");
    if (item && event.target.classList.contains("missed") && missed(item).length) {
      const verdict = chosen(item.querySelector(".verdict"));
      // What was missed is missed; that something was taken out wrongly may be true beside it.
      if (!verdict || verdict.value === "right") item.querySelector(".verdict input[value=missed]").checked = true;
      else if (verdict.value === "wrong") item.querySelector(".verdict input[value=both]").checked = true;
    }
    isSaved = false;
    show();
  });

  addEventListener("beforeunload", (event) => {
    if (!isSaved) event.preventDefault();
  });

  // Browsers fill in what a reloaded page held; an answer counts only when somebody gives it now.
  for (const input of document.querySelectorAll(".item input")) input.type === "radio" ? (input.checked = false) : (input.value = "");
  document.documentElement.classList.add("scripted");
  show();
})();
