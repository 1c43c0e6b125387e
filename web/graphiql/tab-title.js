// What a tab is called. GraphiQL only knows operation names; vite.config.js puts this in front.

const LONGEST = 36;

/** The text of a comment in the query's first line, or null. */
export function tabTitle(query) {
  const comment = /^\s*#+[ \t]*(\S.*)/.exec(query ?? '')?.[1].trim();
  if (!comment) return null;
  return comment.length > LONGEST ? `${comment.slice(0, LONGEST - 1)}…` : comment;
}
