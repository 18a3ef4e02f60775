/** As much of bun:ffi (https://bun.com/docs/api/ffi) as peer.ts uses. */
declare module "bun:ffi" {
  /** Opens a library; throws when it, or one of the functions, is not there. */
  export function dlopen(
    library: string,
    functions: Readonly<Record<string, { readonly args: readonly ("i32" | "ptr")[]; readonly returns: "i32" }>>,
  ): { readonly symbols: Readonly<Record<string, (...args: readonly (number | ArrayBufferView)[]) => number>> }
}
