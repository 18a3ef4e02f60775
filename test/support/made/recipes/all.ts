/**
 * Every made fixture.
 *
 * @module
 */

import type { Recipe } from "../recipe.ts"
import { CERTIFICATES } from "./certificates.ts"
import { FORMS } from "./forms.ts"
import { LOGS } from "./logs.ts"
import { OBJECTS } from "./objects.ts"
import { TIMESTAMPS } from "./timestamps.ts"

export const RECIPES: readonly Recipe[] = [...OBJECTS, ...FORMS, ...CERTIFICATES, ...LOGS, ...TIMESTAMPS]
