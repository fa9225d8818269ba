"use strict";
// Reads this page alone; what is looked for stays in its address, so that a search can be kept and sent to somebody.
(() => {
  const FIELDS = ["q", "keyword", "holder", "environment"];
  const fields = FIELDS.map((name) => document.getElementById(name));
  const languages = ["en", "zh"].map((name) => document.getElementById(name));
  const none = document.getElementById("none");
  let language = "";
  let later = 0;

  // Full-width letters, digits and blanks become plain ones; capitals small ones.
  const fold = (text) => text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();
  const texts = (card, name) => [...card.querySelectorAll(name)].map((element) => element.textContent);
  const cards = [...document.querySelectorAll(".card")].map((card) => ({
    card,
    text: texts(card, ".find").map(fold).join("\n"),
    keyword: new Set(texts(card, ".keyword")),
    holder: card.dataset.holder,
    environment: card.dataset.environment,
  }));

  function show() {
    const [q, keyword, holder, environment] = fields.map((field) => field.value);
    const words = fold(q).split(" ");
    let count = 0;
    for (const one of cards) {
      const fits = words.every((word) => one.text.includes(word)) && (keyword === "" || one.keyword.has(keyword)) &&
        (holder === "" || one.holder === holder) && (environment === "" || one.environment === environment);
      if (one.card.hidden === fits) one.card.hidden = !fits;
      count += fits ? 1 : 0;
    }
    for (const element of document.querySelectorAll(".found")) element.textContent = count;
    none.hidden = count > 0;
  }

  // Not at every key: browsers refuse addresses that change too often.
  function keep() {
    clearTimeout(later);
    later = setTimeout(write, 250);
  }

  function write() {
    const asked = new URLSearchParams();
    for (const field of fields) if (field.value.trim() !== "") asked.set(field.id, field.value);
    if (language !== "") asked.set("lang", language);
    const hash = asked.toString();
    history.replaceState(null, "", hash === "" ? location.pathname + location.search : `#${hash}`);
  }

  function read() {
    clearTimeout(later);
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const field of fields) {
      field.value = asked.get(field.id) ?? "";
      if (field.selectedIndex === -1) field.value = "";
    }
    language = asked.get("lang") ?? "";
    const chosen = language === "" && navigator.language.toLowerCase().startsWith("zh") ? "zh" : language;
    for (const choice of languages) choice.checked = choice.id === (chosen === "zh" ? "zh" : "en");
    show();
  }

  document.getElementById("search").addEventListener("input", () => {
    show();
    keep();
  });
  document.getElementById("search").addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll(".clear")) {
    button.addEventListener("click", () => {
      for (const field of fields) field.value = "";
      show();
      keep();
      fields[0].focus();
    });
  }
  for (const choice of languages) {
    choice.addEventListener("change", () => {
      language = choice.id;
      keep();
    });
  }
  addEventListener("hashchange", read);
  document.documentElement.classList.add("scripted");
  read();
})();
