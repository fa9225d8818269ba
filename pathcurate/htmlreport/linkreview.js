"use strict";
// Answers stay in this page until they are downloaded or copied: nothing is sent, and nothing is kept in the browser.
(() => {
  const items = [...document.querySelectorAll(".item")];
  const reviewer = document.getElementById("reviewer");
  const progress = document.getElementById("progress");
  let current = -1;
  let isSaved = true;

  const chosen = (item) => item.querySelector("input[type=radio]:checked");

  function answer(item) {
    const radio = chosen(item);
    if (!radio) return null;
    const isAnother = radio.classList.contains("another");
    const accession = isAnother ? item.querySelector(".accession").value.trim() : radio.dataset.accession || "";
    if (isAnother && !accession) return null;
    return [item.dataset.sheet, item.dataset.slide, radio.value, accession, reviewer.value.trim(),
      item.querySelector(".comment").value.trim()];
  }

  function show() {
    let count = 0;
    for (const item of items) {
      const isAnswered = answer(item) !== null;
      item.classList.toggle("answered", isAnswered);
      count += isAnswered ? 1 : 0;
    }
    progress.textContent = `${count} / ${items.length}` + (isSaved || !count ? "" : " *");
  }

  function go(index) {
    if (index < 0 || index >= items.length) return;
    if (current >= 0) items[current].classList.remove("current");
    current = index;
    items[current].classList.add("current");
    items[current].focus({ preventScroll: true });
    items[current].scrollIntoView({ block: "start" });
  }

  // A cell that begins like a formula would be run by a spreadsheet program.
  const cell = (text) => `"${(/^[=+\-@＝＋－＠\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""')}"`;

  function csv() {
    const heads = ["sheet", "slide_id", "decision", "accession", "reviewer", "comment"];
    return [heads, ...items.map(answer).filter((row) => row !== null)].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  document.getElementById("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + csv()], { type: "text/csv" }));
    link.download = `${items.length ? items[0].dataset.sheet : "link"}-answers.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    isSaved = true;
    show();
  });

  document.getElementById("copy").addEventListener("click", () => {
    const area = document.createElement("textarea");
    area.value = csv();
    document.body.append(area);
    area.select();
    if (document.execCommand("copy")) isSaved = true;
    area.remove();
    show();
  });

  document.addEventListener("input", (event) => {
    if (event.target.id === "open-only") return;
    const item = event.target.closest(".item");
    if (item && event.target.classList.contains("accession")) item.querySelector(".another").checked = event.target.value.trim() !== "";
    isSaved = false;
    show();
  });

  document.addEventListener("focusin", (event) => {
    const item = event.target.closest(".item");
    if (!item || items.indexOf(item) === current) return;
    if (current >= 0) items[current].classList.remove("current");
    current = items.indexOf(item);
    item.classList.add("current");
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.matches("input[type=text]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const key = event.key.toLowerCase();
    if (key === "r" && current >= 0) turn(items[current].querySelector(".label-photo img"));
    else if (key === "n" || key === "p") go(current + (key === "n" ? 1 : -1));
    else if (current >= 0 && (/^[0-9]$/.test(key) || key === "escape")) choose(items[current], key);
    else return;
    event.preventDefault();
  });

  function choose(item, key) {
    if (key === "escape") {
      const radio = chosen(item);
      if (radio) radio.checked = false;
    } else {
      const cases = item.querySelectorAll(".case input[type=radio]");
      const radio = key === "0" ? item.querySelector("input[value=reject]")
        : key === "9" ? item.querySelector("input[value=unsure]") : cases[Number(key) - 1];
      if (!radio) return;
      radio.checked = true;
      go(current + 1);
    }
    isSaved = false;
    show();
  }

  // Scanners photograph labels upright, upside down or lying.
  function turn(picture) {
    if (picture) picture.dataset.turned = (Number(picture.dataset.turned || 0) + 1) % 4;
  }

  for (const picture of document.querySelectorAll(".label-photo img")) picture.addEventListener("click", () => turn(picture));

  addEventListener("beforeunload", (event) => {
    if (!isSaved) event.preventDefault();
  });

  // Browsers fill in what a reloaded page held; an answer counts only when somebody gives it now.
  for (const input of document.querySelectorAll(".item input")) input.type === "radio" ? (input.checked = false) : (input.value = "");
  document.documentElement.classList.add("scripted");
  show();
})();
